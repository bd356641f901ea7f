"""Files that are damaged, cut off or no video: what is kept, and what is said."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from tests import media
from tests.media import number
from trovid.errors import TrovidError
from trovid.video.opening import open_video

encode = partial(media.encode, num_frames=48)


def cut(path: Path, share: float) -> Path:
    shorter = path.with_name(f"cut_{path.name}")
    shorter.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return shorter


@pytest.mark.parametrize(("suffix", "share"), [("mp4", 0.6), ("mkv", 0.6), ("avi", 0.8)])
def test_cut_off(tmp_path, suffix, share):
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
    assert [number(frame.image) for frame in frames[:-1]] == list(range(count - 1))
    assert [frame.index for frame in reader.read([count - 1, 2])] == [count - 1, 2]
    assert any("cut off" in problem and "cut_a" in problem for problem in reader.problems)


def test_all_frames_before_the_cut_are_kept(tmp_path):
    path = encode(tmp_path / "a.mp4", container_options={"movflags": "+faststart"})
    with av.open(str(path)) as container:
        ends = [p.pos + p.size for p in container.demux(video=0) if p.size]
    shorter = cut(path, ends[29] / path.stat().st_size)
    complete = sum(end <= shorter.stat().st_size for end in ends)
    assert open_video(shorter).video.num_frames == complete


def test_damaged_in_the_middle(tmp_path):
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
    assert [number(frame.image) for frame in frames[:20]] == list(range(20))
    assert number(frames[-1].image) == 47
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
def test_no_video(tmp_path, name, content, cause):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TrovidError, match=cause) as caught:
        open_video(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_index(tmp_path):
    path = cut(encode(tmp_path / "a.mp4"), 0.7)
    with pytest.raises(TrovidError, match="without a readable index"):
        open_video(path)


def test_missing(tmp_path):
    with pytest.raises(TrovidError, match=r"nothing\.mp4: no such file"):
        open_video(tmp_path / "nothing.mp4")


def test_sound_alone(tmp_path):
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


PROMISING = {
    "mp4": ("a.mp4", {"container_options": {"movflags": "+faststart"}}),
    "mjpeg-avi": ("a.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    "mpeg4-avi": ("a.avi", {"codec": "mpeg4"}),
}
SILENT = {
    "mkv": ("a.mkv", {}),
    "webm": ("a.webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}}),
    "ts": ("a.ts", {}),
    "mpeg2-ts": ("a.ts", {"codec": "mpeg2video"}),
    "mpeg-ps": ("a.mpg", {"codec": "mpeg2video"}),
    "flv": ("a.flv", {}),
}


def overwritten(path: Path, *, share: float = 0.08) -> Path:
    """The file with noise in its middle."""
    data = bytearray(path.read_bytes())
    first, size = len(data) // 2, int(len(data) * share)
    noise = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    data[first : first + size] = noise.tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", PROMISING)
def test_lost_frames_are_counted_where_the_container_states_them(tmp_path, name):
    file_name, settings = PROMISING[name]
    reader = open_video(overwritten(encode(tmp_path / file_name, num_frames=100, **settings)))
    lost = 100 - reader.video.num_frames
    assert lost > 0
    assert f": cut off or damaged: {lost} of 100 frames are missing" in reader.problems[0]


@pytest.mark.parametrize("name", SILENT)
def test_lost_frames_are_estimated_elsewhere(tmp_path, name):
    file_name, settings = SILENT[name]
    reader = open_video(overwritten(encode(tmp_path / file_name, num_frames=100, **settings)))
    lost = 100 - reader.video.num_frames
    assert lost > 0
    assert f": damaged in the middle: about {lost} frames are lost" in reader.problems[0]
    assert number([*reader][-1].image) == 99


def test_lost_frames_of_a_file_that_cannot_be_read_on(tmp_path):
    fragmented = {"movflags": "frag_keyframe+empty_moov"}
    path = encode(tmp_path / "a.mp4", num_frames=100, container_options=fragmented)
    reader = open_video(overwritten(path))
    lost = 100 - reader.video.num_frames
    said = re.search(r"cannot be read past .* about (\d+) frames are lost", reader.problems[0])
    assert said is not None, reader.problems
    assert int(said[1]) == pytest.approx(lost, abs=20)


def test_without_times_an_unknown_number_may_be_missing(tmp_path):
    reader = open_video(overwritten(encode(tmp_path / "a.h264", num_frames=100)))
    assert reader.video.num_frames < 100
    assert "where frames may look wrong or be missing: 1" in reader.problems[0]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_pause_is_no_loss(tmp_path, suffix):
    ticks = [512 * (index + 40 * (index >= 20)) for index in range(48)]
    reader = open_video(encode(tmp_path / f"a.{suffix}", ticks=ticks))
    assert reader.video.num_frames == 48
    assert reader.problems == []
