import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from trovid.data.video_io import Frame, VideoReader, VideoWriter, open_video
from trovid.errors import TrovidError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def numbered_image(index: int, height: int = 64, width: int = 96) -> np.ndarray:
    """An image from which `read_number` tells the index even after lossy compression."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(60, 200, (height // 8 + 9, width // 8 + 9, 3)), np.ones((8, 8, 1)))
    image = scene[index % 8 :, (2 * index) % 8 :][:height, :width].astype(np.uint8)
    for bit in range(8):
        image[:8, 8 * bit : 8 * bit + 8] = 255 if index >> bit & 1 else 0
    return image


def read_number(image: np.ndarray) -> int:
    return sum(1 << bit for bit in range(8) if image[2:6, 8 * bit + 2 : 8 * bit + 6].mean() > 127)


def encode(
    path: Path,
    *,
    ticks: list[int] | None = None,
    num_frames: int = 48,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    gop: int = 12,
    rotation: int = 0,
) -> Path:
    """Writes a video by PyAV alone, so that the reader is not tested against our own writer."""
    unit = Fraction(1, 25) if path.suffix == ".avi" else Fraction(1, 12800)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pix_fmt
        stream.options = options or {}
        stream.gop_size = gop
        stream.codec_context.time_base = unit
        if rotation:
            stream.set_display_rotation(rotation)
        for index in range(num_frames):
            frame = av.VideoFrame.from_ndarray(numbered_image(index), format="rgb24")
            frame.pts, frame.time_base = (
                (ticks[index] if ticks else round(Fraction(index, 25) / unit)),
                unit,
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    shorter = path.with_name(f"cut_{path.name}")
    shorter.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return shorter


def assert_exact(reader: VideoReader, count: int) -> list[Frame]:
    frames = list(reader)
    assert [read_number(frame.image) for frame in frames] == list(range(count))
    assert [frame.index for frame in frames] == list(range(count))
    assert reader.video.num_frames == len(reader) == count
    return frames


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


class TestExactFrames:
    @pytest.mark.parametrize("name", ENCODINGS)
    def test_read_equals_iterating(self, tmp_path, name):
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

    def test_far_frames_are_reached_by_seeking(self, tmp_path):
        reader = open_video(encode(tmp_path / "a.mp4", gop=12))
        frames = list(reader)
        reader._read_counting = lambda indices: (
            pytest.fail("decoded from the start") if indices else iter(())
        )
        with pytest.raises(pytest.fail.Exception, match="from the start"):
            list(reader)
        np.testing.assert_array_equal(reader.read([40])[0].image, frames[40].image)

    def test_variable_frame_rate(self, tmp_path):
        steps = np.random.default_rng(1).integers(100, 3000, 48)
        ticks = np.cumsum(steps).tolist()
        reader = open_video(encode(tmp_path / "vfr.mp4", ticks=ticks))
        frames = assert_exact(reader, 48)
        gaps = np.diff([frame.time for frame in frames])
        np.testing.assert_allclose(gaps, steps[1:] / 12800, atol=1e-6)
        assert reader.video.frame_rate == pytest.approx(47 / gaps.sum(), rel=0.01)
        assert [read_number(frame.image) for frame in reader.read([40, 3, 22])] == [40, 3, 22]

    def test_times_are_the_containers(self, tmp_path):
        path = encode(
            tmp_path / "late.mkv", ticks=[51200 + 1280 * i for i in range(20)], num_frames=20
        )
        with av.open(str(path)) as container:
            stated = [frame.time for frame in container.decode(video=0)]
        assert [frame.time for frame in open_video(path)] == stated
        assert stated[0] == pytest.approx(4.0)

    def test_iterations_are_independent(self, tmp_path):
        reader = open_video(encode(tmp_path / "a.mp4"))
        pairs = [
            (frame.index, other.index, reader.read([5])[0].index)
            for frame, other in zip(reader, reader, strict=True)
        ]
        assert pairs == [(index, index, 5) for index in range(48)]

    def test_one_frame(self, tmp_path):
        reader = open_video(encode(tmp_path / "one.mp4", num_frames=1))
        assert_exact(reader, 1)
        assert reader.video.frame_rate == 25
        assert reader.problems == []

    @pytest.mark.parametrize("rotation", [90, 180, -90])
    def test_rotation_metadata(self, tmp_path, rotation):
        plain = list(open_video(encode(tmp_path / "a.mp4", num_frames=2)))
        reader = open_video(encode(tmp_path / "b.mp4", num_frames=2, rotation=rotation))
        frames = list(reader)
        np.testing.assert_array_equal(frames[1].image, np.rot90(plain[1].image, rotation // 90))
        assert (reader.video.height, reader.video.width) == frames[0].image.shape[:2]

    def test_wrong_index(self, tmp_path):
        reader = open_video(encode(tmp_path / "a.mp4", num_frames=3))
        with pytest.raises(ValueError, match=r"0\.\.2 .* but one is 3"):
            reader.read([0, 3])
        with pytest.raises(ValueError, match="but one is -1"):
            reader.read([-1])
        assert reader.read([]) == []


class TestDamagedFiles:
    @pytest.mark.parametrize(("suffix", "share"), [("mp4", 0.6), ("mkv", 0.6), ("avi", 0.8)])
    def test_cut_off(self, tmp_path, suffix, share):
        whole = encode(
            tmp_path / f"a.{suffix}",
            codec="mpeg4" if suffix == "avi" else "libx264",
            container_options={"movflags": "+faststart"} if suffix == "mp4" else {},
        )
        reader = open_video(cut(whole, share))
        count = reader.video.num_frames
        assert 10 < count < 40
        frames = list(reader)
        assert len(frames) == count
        assert [read_number(frame.image) for frame in frames[:-1]] == list(range(count - 1))
        assert [frame.index for frame in reader.read([count - 1, 2])] == [count - 1, 2]
        assert any("cut off" in problem and "cut_a" in problem for problem in reader.problems)

    def test_all_frames_before_the_cut_are_kept(self, tmp_path):
        path = encode(tmp_path / "a.mp4", container_options={"movflags": "+faststart"})
        with av.open(str(path)) as container:
            ends = [p.pos + p.size for p in container.demux(video=0) if p.size]
        shorter = cut(path, ends[29] / path.stat().st_size)
        complete = sum(end <= shorter.stat().st_size for end in ends)
        assert open_video(shorter).video.num_frames == complete

    def test_damaged_in_the_middle(self, tmp_path):
        path = encode(tmp_path / "a.mp4", container_options={"movflags": "+faststart"})
        with av.open(str(path)) as container:
            packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
        data = bytearray(path.read_bytes())
        position, size = packets[24]
        data[position : position + size] = b"\xff" * size
        path.write_bytes(data)
        reader = open_video(path)
        frames = list(reader)
        assert len(frames) == reader.video.num_frames
        assert [read_number(frame.image) for frame in frames[:20]] == list(range(20))
        assert read_number(frames[-1].image) == 47
        assert reader.problems
        assert all(str(path) in problem and "\n" not in problem for problem in reader.problems)

    @pytest.mark.parametrize(
        ("name", "content", "cause"),
        [
            ("empty.mp4", b"", "empty"),
            ("text.mp4", b"these are words\n" * 50, "not a video"),
            ("text.txt", b"these are words\n" * 50, "text file"),
            ("noise.mp4", bytes(range(256)) * 20, "not a video"),
            ("noise.mkv", b"\x1a\x45\xdf\xa3" + bytes(500), "not a video"),
        ],
    )
    def test_no_video(self, tmp_path, name, content, cause):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(TrovidError, match=cause) as caught:
            open_video(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_without_index(self, tmp_path):
        path = cut(encode(tmp_path / "a.mp4"), 0.7)
        with pytest.raises(TrovidError, match="without a readable index"):
            open_video(path)

    def test_missing(self, tmp_path):
        with pytest.raises(TrovidError, match=r"nothing\.mp4: no such file"):
            open_video(tmp_path / "nothing.mp4")

    def test_sound_alone(self, tmp_path):
        path = tmp_path / "sound.m4a"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=44100)
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate = 44100
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with pytest.raises(TrovidError, match=r"holds no video \(only audio\)"):
            open_video(path)


class TestImages:
    def test_folder_in_natural_order(self, tmp_path):
        for index in range(12):
            Image.fromarray(numbered_image(index)).save(tmp_path / f"frame{index}.png")
        (tmp_path / "notes.txt").write_text("no image")
        (tmp_path / ".hidden.png").write_text("no image")
        reader = open_video(tmp_path, frame_rate=10)
        frames = assert_exact(reader, 12)
        np.testing.assert_array_equal(frames[7].image, numbered_image(7))
        assert frames[7].time == 0.7
        assert reader.video.name == tmp_path.name

    def test_list_keeps_its_order(self, tmp_path):
        paths = [tmp_path / f"{name}.png" for name in "cab"]
        for index, path in enumerate(paths):
            Image.fromarray(numbered_image(index)).save(path)
        assert_exact(open_video([str(path) for path in paths]), 3)

    def test_modes(self, tmp_path):
        grey = (np.arange(64 * 96).reshape(64, 96) * 10).astype(np.uint16)
        Image.fromarray(grey).save(tmp_path / "0.png")
        Image.fromarray((grey >> 8).astype(np.uint8)).save(tmp_path / "1.png")
        colour = numbered_image(3)
        Image.fromarray(colour).quantize(256).save(tmp_path / "2.png")
        Image.fromarray(np.dstack([colour, np.full((64, 96), 9, np.uint8)])).save(
            tmp_path / "3.png"
        )
        first, second, palette, alpha = (frame.image for frame in open_video(tmp_path))
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first[..., 0], grey >> 8)
        assert read_number(palette) == 3
        np.testing.assert_array_equal(alpha, colour)

    def test_exif_orientation(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(numbered_image(1)).save(tmp_path / "0.png", exif=exif)
        reader = open_video(tmp_path)
        assert (reader.video.height, reader.video.width) == (96, 64)
        np.testing.assert_array_equal(reader.read([0])[0].image, np.rot90(numbered_image(1), -1))

    def test_unequal_sizes(self, tmp_path):
        Image.fromarray(numbered_image(0)).save(tmp_path / "0.png")
        Image.fromarray(numbered_image(1)[:32]).save(tmp_path / "1.png")
        with pytest.raises(TrovidError, match=r"1\.png: 96x32 pixels among images of 96x64"):
            list(open_video(tmp_path))

    def test_unreadable_image(self, tmp_path):
        Image.fromarray(numbered_image(0)).save(tmp_path / "0.png")
        (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes()[:300])
        with pytest.raises(TrovidError, match=r"1\.png: not a readable image"):
            list(open_video(tmp_path))

    def test_empty_folder(self, tmp_path):
        with pytest.raises(TrovidError, match="holds no images"):
            open_video(tmp_path)
        with pytest.raises(TrovidError, match="empty list"):
            open_video([])

    def test_array(self):
        images = np.stack([numbered_image(index) for index in range(5)])
        reader = open_video(images, frame_rate=5)
        assert_exact(reader, 5)
        assert reader.read([4])[0].time == 0.8
        assert open_video(images).read([4])[0].time == 0

    @pytest.mark.parametrize(
        "wrong", [np.zeros((2, 4, 4)), np.zeros((2, 4, 4, 3)), np.zeros((0, 4, 4, 3), np.uint8)]
    )
    def test_wrong_array(self, wrong):
        with pytest.raises(ValueError, match="`source` must"):
            open_video(wrong)

    def test_wrong_type(self):
        with pytest.raises(TypeError, match="`source` must be a path"):
            open_video(3)  # ty: ignore[invalid-argument-type]


class TestVideoWriter:
    def write(self, path, count=20, height=64, width=96, **options):
        with VideoWriter(path, height=height, width=width, frame_rate=25, **options) as writer:
            for index in range(count):
                writer.write(numbered_image(index, height, width))

    def test_comes_back(self, tmp_path):
        self.write(tmp_path / "a.mp4", crf=10)
        reader = open_video(tmp_path / "a.mp4")
        frames = assert_exact(reader, 20)
        assert reader.video.frame_rate == 25
        assert frames[10].time == pytest.approx(0.4)
        error = frames[9].image.astype(float) - numbered_image(9)
        assert abs(error[16:]).mean() < 8
        with av.open(str(tmp_path / "a.mp4")) as container:
            context = container.streams.video[0].codec_context
            assert (context.name, context.pix_fmt, context.colorspace) == ("h264", "yuv420p", 1)

    @pytest.mark.parametrize("height", [64, 720])
    def test_colours(self, tmp_path, height):
        colours = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [240, 240, 240]], np.uint8)
        with VideoWriter(tmp_path / "a.mp4", height=height, width=96, frame_rate=25) as writer:
            for colour in colours:
                writer.write(np.broadcast_to(colour, (height, 96, 3)))
        for colour, frame in zip(colours, open_video(tmp_path / "a.mp4"), strict=True):
            np.testing.assert_allclose(frame.image.mean((0, 1)), colour, atol=3)

    def test_odd_size_is_padded(self, tmp_path):
        self.write(tmp_path / "a.mp4", height=63, width=95)
        reader = open_video(tmp_path / "a.mp4")
        assert (reader.video.height, reader.video.width) == (64, 96)
        assert_exact(reader, 20)

    def test_smallest_size(self, tmp_path):
        with VideoWriter(tmp_path / "a.mp4", height=1, width=1, frame_rate=25) as writer:
            writer.write(np.full((1, 1, 3), 200, np.uint8))
        assert open_video(tmp_path / "a.mp4").read([0])[0].image.mean() == pytest.approx(200, abs=3)

    def test_times(self, tmp_path):
        times = 3 + np.cumsum(np.random.default_rng(0).uniform(0.01, 0.2, 20))
        with VideoWriter(tmp_path / "a.mp4", height=64, width=96, frame_rate=25) as writer:
            for index, time in enumerate(times):
                writer.write(numbered_image(index), time=float(time))
            with pytest.raises(ValueError, match="`time` must increase"):
                writer.write(numbered_image(0), time=float(times[-1]))
        frames = assert_exact(open_video(tmp_path / "a.mp4"), 20)
        np.testing.assert_allclose([f.time for f in frames], times - times[0], atol=1e-5)

    @pytest.mark.parametrize("rate", [24000 / 1001, 30000 / 1001, 12.5, 60, 0.5])
    def test_rates(self, tmp_path, rate):
        with VideoWriter(tmp_path / "a.mp4", height=64, width=96, frame_rate=rate) as writer:
            for index in range(5):
                writer.write(numbered_image(index))
        reader = open_video(tmp_path / "a.mp4")
        assert reader.video.frame_rate == pytest.approx(rate, rel=1e-6)
        assert [f.time for f in reader] == pytest.approx([i / rate for i in range(5)], abs=1e-6)

    def test_nothing_half_written(self, tmp_path):
        def fail_midway():
            with VideoWriter(tmp_path / "a.mp4", height=64, width=96, frame_rate=25) as writer:
                writer.write(numbered_image(0))
                assert not (tmp_path / "a.mp4").exists()
                raise RuntimeError("midway")

        with pytest.raises(RuntimeError, match="midway"):
            fail_midway()
        assert os.listdir(tmp_path) == []

    def test_no_frames(self, tmp_path):
        with pytest.raises(TrovidError, match="no frame"):
            VideoWriter(tmp_path / "a.mp4", height=64, width=96, frame_rate=25).close()
        assert os.listdir(tmp_path) == []

    def test_unwritable(self, tmp_path):
        with pytest.raises(TrovidError, match="cannot write"):
            VideoWriter(tmp_path / "no" / "a.mp4", height=64, width=96, frame_rate=25)
        with pytest.raises(TrovidError, match="cannot write"):
            VideoWriter(tmp_path / "a.unknown", height=64, width=96, frame_rate=25)
        assert os.listdir(tmp_path) == []

    def test_same_bytes(self, tmp_path):
        contents = set()
        for _ in range(20):
            self.write(tmp_path / "a.mp4", threads=1)
            contents.add((tmp_path / "a.mp4").read_bytes())
        assert len(contents) == 1

    @pytest.mark.parametrize(
        ("options", "name"),
        [({"height": 0}, "height"), ({"frame_rate": 0}, "frame_rate"), ({"crf": 60}, "crf")],
    )
    def test_wrong_arguments(self, tmp_path, options, name):
        settings = {"height": 64, "width": 96, "frame_rate": 25, **options}
        with pytest.raises(ValueError, match=f"`{name}`"):
            VideoWriter(tmp_path / "a.mp4", **settings)

    def test_wrong_image(self, tmp_path):
        writer = VideoWriter(tmp_path / "a.mp4", height=64, width=96, frame_rate=25)
        with pytest.raises(ValueError, match=r"`image` must be uint8 \[64, 96, 3\]"):
            writer.write(np.zeros((64, 96), np.uint8))
        writer.discard()


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
class TestRealVideos:
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
    def test_measures(self, name, frames, height, width):
        reader = open_video(SHARED / name)
        video = reader.video
        assert (video.num_frames, video.height, video.width) == (frames, height, width)
        assert reader.problems == []
        assert [f.index for f in reader.read([frames - 1, 0])] == [frames - 1, 0]
