"""What cameras, phones and editors write: frames, indices and times are the container's own."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.media import encode, number, numbered, stated_times
from trovid.errors import TrovidError
from trovid.video.opening import open_video


def check(path: Path, count: int, **size: int) -> list[np.ndarray]:
    """All frames are there, in order, at the times that the container states."""
    reader = open_video(path)
    frames = list(reader)
    assert [number(frame.image) for frame in frames] == list(range(count))
    assert [frame.index for frame in frames] == list(range(count))
    assert [frame.time for frame in frames] == stated_times(path)
    assert list(reader.times) == stated_times(path)
    height, width = size.get("height", 64), size.get("width", 96)
    assert (reader.video.num_frames, reader.video.height, reader.video.width) == (
        *(count, height, width),
    )
    assert {frame.image.shape for frame in frames} == {(height, width, 3)}
    some = [count - 1, 0, count // 2]
    assert [number(frame.image) for frame in reader.read(some)] == some
    assert reader.problems == []
    return [frame.image for frame in frames]


X265 = {"x265-params": "log-level=none"}
KINDS = {
    "odd-size": ("a.mkv", {"height": 63, "width": 95, "pix_fmt": "yuv444p"}),
    "odd-size-ffv1": ("a.mkv", {"height": 65, "width": 97, "codec": "ffv1"}),
    "10-bit": ("a.mp4", {"pix_fmt": "yuv420p10le"}),
    "4:2:2": ("a.mp4", {"pix_fmt": "yuv422p"}),
    "4:2:2-10-bit-prores": ("a.mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
    "4:4:4": ("a.mp4", {"pix_fmt": "yuv444p"}),
    "grey": ("a.mkv", {"codec": "ffv1", "pix_fmt": "gray"}),
    "interlaced-h264": ("a.mp4", {"options": {"x264-params": "tff=1"}, "interlaced": True}),
    "interlaced-mpeg2": ("a.ts", {"codec": "mpeg2video", "interlaced": True}),
    "hevc": ("a.mp4", {"codec": "libx265", "options": X265}),
    "hevc-10-bit": ("a.mkv", {"codec": "libx265", "options": X265, "pix_fmt": "yuv420p10le"}),
    "vp9": ("a.webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}}),
    "av1": ("a.mp4", {"codec": "libsvtav1", "options": {"preset": "12"}}),
    "mjpeg": ("a.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    "one-frame": ("a.mp4", {"num_frames": 1}),
    "two-frames": ("a.mp4", {"num_frames": 2}),
    "starts-late": ("a.mkv", {"start": 51200}),
    "with-sound": ("a.mp4", {"sound": "aac"}),
    "several-streams": ("a.mkv", {"sound": "aac", "more_streams": True}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kind(tmp_path, kind):
    name, settings = KINDS[kind]
    path = encode(tmp_path / name, **settings)
    size = {key: settings[key] for key in ("height", "width") if key in settings}
    images = check(path, settings.get("num_frames", 12), **size)
    if kind == "grey":
        assert (images[3][..., 0] == images[3][..., 2]).all()
        assert np.abs(images[3][..., 0] - numbered(3).mean(2)).mean() < 25
    elif kind != "mjpeg":
        error = np.abs(images[-1].astype(int) - numbered(len(images) - 1, **size))
        assert error[16:].mean() < 25


def test_variable_frame_rate(tmp_path):
    steps = np.random.default_rng(1).integers(100, 3000, 30)
    ticks = np.cumsum(steps).tolist()
    path = encode(tmp_path / "a.mp4", num_frames=30, ticks=ticks)
    check(path, 30)
    assert np.diff(open_video(path).times) == pytest.approx(steps[1:] / 12800, abs=1e-6)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_of_a_phone(tmp_path, rotation):
    path = encode(tmp_path / "a.mov", rotation=rotation)
    reader = open_video(path)
    turned = rotation % 180 != 0
    assert (reader.video.height, reader.video.width) == ((96, 64) if turned else (64, 96))
    for frame in reader:
        assert number(np.rot90(frame.image, -(rotation // 90))) == frame.index


def test_alpha_is_left_out(tmp_path):
    def picture(index: int) -> np.ndarray:
        return np.dstack([numbered(index), np.full((64, 96), 255, np.uint8)])

    check(encode(tmp_path / "a.mov", codec="qtrle", pix_fmt="argb", picture=picture), 12)


def test_4k(tmp_path):
    path = encode(tmp_path / "a.mp4", num_frames=3, height=2160, width=3840)
    check(path, 3, height=2160, width=3840)


def test_animated_gif(tmp_path):
    frames = [Image.fromarray(numbered(index)) for index in range(6)]
    path = tmp_path / "a.gif"
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=[40, 80, 40, 120, 40, 40]
    )
    reader = open_video(path)
    assert [number(frame.image) for frame in reader] == list(range(6))
    assert list(reader.times) == stated_times(path)


def test_sound_alone_is_said(tmp_path):
    from tests.media import tone

    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=48_000, layout="stereo")
        for frame in tone(1.0, "fltp"):
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    with pytest.raises(TrovidError, match=r"a\.m4a: holds no video \(only audio\)"):
        open_video(path)


def test_a_cover_picture_is_no_video(tmp_path):
    """An MP3 with its cover: the picture is a video stream of one frame."""
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w") as container:
        track = container.add_stream("libmp3lame", rate=48_000, layout="stereo")
        cover = container.add_stream("png")
        cover.width, cover.height, cover.pix_fmt = 96, 64, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        from tests.media import tone

        container.mux(cover.encode(av.VideoFrame.from_ndarray(numbered(0), format="rgb24")))
        for frame in tone(0.5, "fltp"):
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    with pytest.raises(TrovidError, match="holds no video"):
        open_video(path)


@pytest.mark.parametrize("factor", [0.25, 10])
def test_wrong_duration_in_the_container(tmp_path, factor):
    """The stated duration (mvhd, tkhd and mdhd of MP4) is changed; the frames are what they are."""
    path = encode(tmp_path / "a.mp4", num_frames=20)
    times = stated_times(path)
    data = bytearray(path.read_bytes())
    for name, offset in ((b"mvhd", 16), (b"tkhd", 20), (b"mdhd", 16)):
        place = data.index(name) + 4 + offset
        value = int.from_bytes(data[place : place + 4], "big")
        data[place : place + 4] = round(value * factor).to_bytes(4, "big")
    path.write_bytes(data)
    reader = open_video(path)
    frames = list(reader)
    assert [number(frame.image) for frame in frames] == list(range(20))
    assert [frame.time for frame in frames] == times
    assert list(reader.times) == times


def test_folder_of_numbers_out_of_order(tmp_path):
    for index in reversed(range(12)):
        Image.fromarray(numbered(index)).save(tmp_path / f"{index}.png")
    check_images(tmp_path, range(12))


def check_images(folder: Path, indices: range) -> None:
    reader = open_video(folder, frame_rate=10)
    frames = list(reader)
    assert [number(frame.image) for frame in frames] == list(indices)
    assert [frame.time for frame in frames] == [index / 10 for index in indices]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff"])
def test_exif_rotation(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    for index in range(2):
        Image.fromarray(np.rot90(numbered(index))).save(
            tmp_path / f"{index}.{suffix}",
            exif=exif,
            **({"quality": 95} if suffix == "jpg" else {}),
        )
    check_images(tmp_path, range(2))
    assert open_video(tmp_path).video.height == 64


def test_16_bit_palette_and_grey_images(tmp_path):
    grey = numbered(0)[..., 0]
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "0.png")
    Image.fromarray(numbered(1)).quantize(256).save(tmp_path / "1.png")
    Image.fromarray(numbered(2)).convert("L").save(tmp_path / "2.png")
    Image.fromarray(numbered(3)).convert("LA").save(tmp_path / "3.png")
    Image.fromarray(numbered(4)).convert("1").save(tmp_path / "4.png")
    Image.fromarray(numbered(5)).convert("CMYK").save(tmp_path / "5.jpg", quality=95)
    check_images(tmp_path, range(6))
    first = open_video(tmp_path).read([0])[0].image
    np.testing.assert_array_equal(first, np.dstack([grey] * 3))


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_png_by_the_video_encoder(tmp_path, channels):
    """Written by FFmpeg, as Pillow cannot write 16 bits a channel in colour."""
    wide = numbered(7).astype(np.uint16) * 257
    layout, image = ("rgb48le", wide) if channels == 3 else ("gray16le", wide[..., 0])
    context = av.CodecContext.create("png", "w")
    context.width, context.height = 96, 64
    context.pix_fmt = "rgb48be" if channels == 3 else "gray16be"
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(image, format=layout).reformat(format=context.pix_fmt)
    packets = [*context.encode(frame), *context.encode(None)]
    (tmp_path / "0.png").write_bytes(b"".join(bytes(packet) for packet in packets))
    image = open_video(tmp_path).read([0])[0].image
    wanted = numbered(7) if channels == 3 else np.dstack([numbered(7)[..., 0]] * 3)
    assert np.abs(image.astype(int) - wanted).max() <= 1
