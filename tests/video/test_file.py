"""Video files: exactly their frames, in order, at their times, however they are reached."""

from __future__ import annotations

from functools import partial

import av
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from tests import media, shared
from tests.media import assert_exact, number, numbered
from trovid.inference.target_frames import target_frames
from trovid.structures import DetectOptions
from trovid.video.blanking import BlankingReader
from trovid.video.file import FileReader
from trovid.video.opening import open_video

SHARED = shared.SHARED / "data"
encode = partial(media.encode, num_frames=48)

ENCODINGS = {
    "h264-mp4": ("a.mp4", {}),
    "h264-bframes": ("a.mp4", {"options": {"bf": "3", "b-pyramid": "normal"}}),
    "h264-open-gop": ("a.mp4", {"options": {"x264-params": "open-gop=1:bframes=3"}}),
    "h264-intra-refresh": ("a.mp4", {"options": {"intra-refresh": "1"}}),
    "h264-one-key": ("a.mp4", {"gop": 1000}),
    "h264-mkv": ("a.mkv", {}),
    "h264-ts": ("a.ts", {}),
    "h264-raw": ("a.h264", {}),
    "h264-fragmented": ("a.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
    "h264-422-10bit": ("a.mp4", {"pix_fmt": "yuv422p10le"}),
    "hevc-open-gop": (
        "a.mp4",
        {"codec": "libx265", "options": {"x265-params": "log-level=none:open-gop=1:keyint=12"}},
    ),
    "vp9-webm": ("a.webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}}),
    "mpeg4-avi": ("a.avi", {"codec": "mpeg4"}),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_read_equals_iterating(tmp_path, name):
    file_name, settings = ENCODINGS[name]
    if settings.get("codec", "libx264") not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {settings['codec']}")
    reader = open_video(encode(tmp_path / file_name, **settings))
    frames = assert_exact(reader, 48)
    assert reader.problems == []
    wanted = [47, 0, 30, 30, 13, 46, 29, 12, 11]
    for _ in range(2):
        some = reader.read(wanted)
        assert [frame.index for frame in some] == wanted
        for frame in some:
            np.testing.assert_array_equal(frame.image, frames[frame.index].image)
            assert frame.time == frames[frame.index].time
    for index in (47, 25, 1):
        np.testing.assert_array_equal(reader.read([index])[0].image, frames[index].image)


def test_far_frames_are_reached_by_seeking(tmp_path):
    reader = open_video(encode(tmp_path / "a.mp4", gop=12))
    frames = list(reader)
    reader._read_counting = lambda indices: (
        pytest.fail("decoded from the start") if indices else iter(())
    )
    with pytest.raises(pytest.fail.Exception, match="from the start"):
        list(reader)
    np.testing.assert_array_equal(reader.read([40])[0].image, frames[40].image)


def test_variable_frame_rate(tmp_path):
    steps = np.random.default_rng(1).integers(100, 3000, 48)
    ticks = np.cumsum(steps).tolist()
    reader = open_video(encode(tmp_path / "vfr.mp4", ticks=ticks))
    frames = assert_exact(reader, 48)
    gaps = np.diff([frame.time for frame in frames])
    np.testing.assert_allclose(gaps, steps[1:] / 12800, atol=1e-6)
    assert reader.video.frame_rate == pytest.approx(47 / gaps.sum(), rel=0.01)
    assert [number(frame.image) for frame in reader.read([40, 3, 22])] == [40, 3, 22]


def test_times_are_the_containers(tmp_path):
    path = encode(tmp_path / "late.mkv", ticks=[51200 + 1280 * i for i in range(20)], num_frames=20)
    with av.open(str(path)) as container:
        stated = [frame.time for frame in container.decode(video=0)]
    assert [frame.time for frame in open_video(path)] == stated
    assert stated[0] == pytest.approx(4.0)


def test_times_go_on_where_the_clock_starts_again(tmp_path):
    parts = [encode(tmp_path / f"{n}.ts", num_frames=n).read_bytes() for n in (12, 20, 30)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    reader = open_video(path)
    assert len(reader) == 62
    np.testing.assert_allclose(np.diff(reader.times), 1 / 25, atol=1e-4)
    assert reader.video.frame_rate == pytest.approx(25)
    said = f"{path}: its clock starts again at frame 12; the times of the frames go on"
    assert reader.problems[-1] == said
    first = reader.times[0]
    part = target_frames(reader, DetectOptions(start=first + 0.99, end=first + 1.99))
    assert part == range(25, 50)
    assert [frame.time for frame in reader.read([40, 3])] == [reader.times[40], reader.times[3]]


def test_iterations_are_independent(tmp_path):
    reader = open_video(encode(tmp_path / "a.mp4"))
    pairs = [
        (frame.index, other.index, reader.read([5])[0].index)
        for frame, other in zip(reader, reader, strict=True)
    ]
    assert pairs == [(index, index, 5) for index in range(48)]


def test_one_frame(tmp_path):
    reader = open_video(encode(tmp_path / "one.mp4", num_frames=1))
    assert_exact(reader, 1)
    assert reader.video.frame_rate == 25
    assert reader.problems == []


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_metadata(tmp_path, rotation):
    plain = list(open_video(encode(tmp_path / "a.mp4", num_frames=2)))
    reader = open_video(encode(tmp_path / "b.mp4", num_frames=2, rotation=rotation))
    frames = list(reader)
    np.testing.assert_array_equal(frames[1].image, np.rot90(plain[1].image, rotation // 90))
    assert (reader.video.height, reader.video.width) == frames[0].image.shape[:2]


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_mirrored_videos(tmp_path, rotation):
    """Left and right, after the turn."""
    plain = list(open_video(encode(tmp_path / "a.mp4", num_frames=2)))
    path = encode(tmp_path / "b.mp4", num_frames=2, rotation=rotation, mirrored=True)
    reader = open_video(path)
    frames = list(reader)
    turned = np.rot90(plain[1].image, rotation // 90)
    np.testing.assert_array_equal(frames[1].image, turned[:, ::-1])
    assert (reader.video.height, reader.video.width) == frames[0].image.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_with_exif_that_ffmpeg_reads(tmp_path, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = orientation, "a camera"
    Image.fromarray(numbered(5)).save(tmp_path / "a.jfif", exif=exif, subsampling=0)
    reader = open_video(tmp_path / "a.jfif")
    (frame,) = reader
    with Image.open(tmp_path / "a.jfif") as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert (reader.video.height, reader.video.width) == expected.shape[:2]
    assert np.abs(frame.image.astype(int) - expected).mean() < 3


def test_wrong_index(tmp_path):
    reader = open_video(encode(tmp_path / "a.mp4", num_frames=3))
    with pytest.raises(ValueError, match=r"0\.\.2, but one asked for is 3"):
        reader.read([0, 3])
    with pytest.raises(ValueError, match="but one asked for is -1"):
        reader.read([-1])
    assert reader.read([]) == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
@pytest.mark.parametrize(
    ("name", "frames", "height", "width"),
    [
        ("videos/01_dog.mp4", 289, 720, 1280),
        ("videos/02_cups.mp4", 300, 720, 1280),
        ("videos/bottle-detection.mp4", 1189, 360, 640),
        ("videos/car-detection.mp4", 377, 432, 768),
        ("videos/one-by-one-person-detection.mp4", 1394, 432, 768),
        ("vid_clip/ILSVRC2015_val_00007010", 144, 720, 1280),
    ],
)
def test_measures(name, frames, height, width):
    reader = open_video(SHARED / name)
    video = reader.video
    assert (video.num_frames, video.height, video.width) == (frames, height, width)
    assert reader.problems == []
    assert [f.index for f in reader.read([frames - 1, 0])] == [frames - 1, 0]


def test_pictures_are_those_that_the_decoder_makes_one_by_one(tmp_path):
    """A converter that is kept for a whole pass makes of a frame what a new one makes of it."""
    path = encode(tmp_path / "a.mp4", num_frames=9)
    reader = open_video(path)
    with av.open(str(path)) as container:
        wanted = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for frames in (reader, reader.read(range(9))):
        for video_frame, image in zip(frames, wanted, strict=True):
            assert np.array_equal(video_frame.image, image)


@pytest.mark.parametrize(
    ("codec", "form", "name"),
    [("png", "rgba", "a.mov"), ("png", "rgba", "noending"), ("ffv1", "yuva420p", "a.mkv")],
)
def test_what_transparency_hides_in_a_video_is_black_on_request(tmp_path, codec, form, name):
    """Whatever the file is called."""
    pixels = np.full((48, 64, 4), (250, 40, 30, 255), np.uint8)
    pixels[:24, :, 3] = 0
    with av.open(str(tmp_path / name), "w", format="mov" if codec == "png" else None) as container:
        stream = container.add_stream(codec, rate=10, width=64, height=48, pix_fmt=form)
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgba")))
        container.mux(stream.encode())
    reader = FileReader(tmp_path / name)
    shown = [frame.image for frame in reader]
    assert (shown[0][:20, :, 0] > 200).all()
    covered = [frame.image for frame in BlankingReader(reader)]
    assert len(covered) == 2
    for image in covered:
        assert not image[:20].any()
        assert (image[28:, :, 0] > 200).all()
