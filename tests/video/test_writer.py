"""VideoWriter: what is written comes back, and nothing is half-written."""

from __future__ import annotations

import os

import av
import numpy as np
import pytest

from tests.media import assert_exact, numbered
from trovid.errors import TrovidError
from trovid.video.opening import VideoWriter, open_video


def write(path, count=20, height=64, width=96, **options):
    with VideoWriter(path, height=height, width=width, frame_rate=25, **options) as writer:
        for index in range(count):
            writer.write(numbered(index, height, width))


def test_comes_back(tmp_path):
    write(tmp_path / "a.mp4", crf=10)
    reader = open_video(tmp_path / "a.mp4")
    frames = assert_exact(reader, 20)
    assert reader.video.frame_rate == 25
    assert frames[10].time == pytest.approx(0.4)
    error = frames[9].image.astype(float) - numbered(9)
    assert abs(error[16:]).mean() < 8
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.colorspace) == ("h264", "yuv420p", 1)


@pytest.mark.parametrize("height", [64, 720])
def test_colours(tmp_path, height):
    colours = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [240, 240, 240]], np.uint8)
    with VideoWriter(tmp_path / "a.mp4", height=height, width=96, frame_rate=25) as writer:
        for colour in colours:
            writer.write(np.broadcast_to(colour, (height, 96, 3)))
    for colour, frame in zip(colours, open_video(tmp_path / "a.mp4"), strict=True):
        np.testing.assert_allclose(frame.image.mean((0, 1)), colour, atol=3)


def test_odd_size_is_padded(tmp_path):
    write(tmp_path / "a.mp4", height=63, width=95)
    reader = open_video(tmp_path / "a.mp4")
    assert (reader.video.height, reader.video.width) == (64, 96)
    assert_exact(reader, 20)


def test_smallest_size(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", height=1, width=1, frame_rate=25) as writer:
        writer.write(np.full((1, 1, 3), 200, np.uint8))
    assert open_video(tmp_path / "a.mp4").read([0])[0].image.mean() == pytest.approx(200, abs=3)


def test_times(tmp_path):
    times = 3 + np.cumsum(np.random.default_rng(0).uniform(0.01, 0.2, 20))
    with VideoWriter(tmp_path / "a.mp4", height=64, width=96, frame_rate=25) as writer:
        for index, time in enumerate(times):
            writer.write(numbered(index), time=float(time))
        with pytest.raises(ValueError, match="`time` must increase"):
            writer.write(numbered(0), time=float(times[-1]))
    frames = assert_exact(open_video(tmp_path / "a.mp4"), 20)
    np.testing.assert_allclose([f.time for f in frames], times - times[0], atol=1e-5)


@pytest.mark.parametrize("rate", [24000 / 1001, 30000 / 1001, 12.5, 60, 0.5])
def test_rates(tmp_path, rate):
    with VideoWriter(tmp_path / "a.mp4", height=64, width=96, frame_rate=rate) as writer:
        for index in range(5):
            writer.write(numbered(index))
    reader = open_video(tmp_path / "a.mp4")
    assert reader.video.frame_rate == pytest.approx(rate, rel=1e-6)
    assert [f.time for f in reader] == pytest.approx([i / rate for i in range(5)], abs=1e-6)


def test_nothing_half_written(tmp_path):
    def fail_midway():
        with VideoWriter(tmp_path / "a.mp4", height=64, width=96, frame_rate=25) as writer:
            writer.write(numbered(0))
            assert not (tmp_path / "a.mp4").exists()
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()
    assert os.listdir(tmp_path) == []


def test_no_frames(tmp_path):
    with pytest.raises(TrovidError, match="no frame"):
        VideoWriter(tmp_path / "a.mp4", height=64, width=96, frame_rate=25).close()
    assert os.listdir(tmp_path) == []


def test_unwritable(tmp_path):
    with pytest.raises(TrovidError, match="cannot write"):
        VideoWriter(tmp_path / "no" / "a.mp4", height=64, width=96, frame_rate=25)
    with pytest.raises(TrovidError, match="cannot write"):
        VideoWriter(tmp_path / "a.unknown", height=64, width=96, frame_rate=25)
    assert os.listdir(tmp_path) == []


def test_same_bytes(tmp_path):
    contents = set()
    for _ in range(20):
        write(tmp_path / "a.mp4", threads=1)
        contents.add((tmp_path / "a.mp4").read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize(
    ("options", "name"),
    [({"height": 0}, "height"), ({"frame_rate": 0}, "frame_rate"), ({"crf": 60}, "crf")],
)
def test_wrong_arguments(tmp_path, options, name):
    settings = {"height": 64, "width": 96, "frame_rate": 25, **options}
    with pytest.raises(ValueError, match=f"`{name}`"):
        VideoWriter(tmp_path / "a.mp4", **settings)


def test_wrong_image(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4", height=64, width=96, frame_rate=25)
    with pytest.raises(ValueError, match=r"`image` must be uint8 \[64, 96, 3\]"):
        writer.write(np.zeros((64, 96), np.uint8))
    writer.discard()
