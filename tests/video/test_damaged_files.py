"""Files that are damaged, cut off or no video: what is kept, and what is said."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests import media
from tests.media import number, numbered
from trovid.errors import TrovidError
from trovid.video.blanking import BlankingReader
from trovid.video.opening import VideoReader, open_video

encode = partial(media.encode, num_frames=48)


def places(path: Path) -> list[tuple[int, int]]:
    """First byte of each packet of pictures and of what follows it, in the order of the file."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return [(packet.pos or 0, (packet.pos or 0) + packet.size) for packet in packets]


def cut(path: Path, end: int) -> Path:
    shorter = path.with_name(f"cut_{path.name}")
    shorter.write_bytes(path.read_bytes()[:end])
    return shorter


def overwritten(path: Path, first: int, end: int) -> Path:
    """The file with noise in a place."""
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, end - first, dtype=np.uint8)
    data[first:end] = noise.tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_cut_off(tmp_path, suffix):
    whole = encode(
        tmp_path / f"a.{suffix}",
        codec="mpeg4" if suffix == "avi" else "libx264",
        container_options={"movflags": "+faststart"} if suffix == "mp4" else {},
    )
    reader = open_video(cut(whole, sum(places(whole)[29]) // 2))
    count = reader.video.num_frames
    assert 10 < count < 40
    frames = list(reader)
    assert len(frames) == count
    assert [number(frame.image) for frame in frames[:-1]] == list(range(count - 1))
    assert [frame.index for frame in reader.read([count - 1, 2])] == [count - 1, 2]
    assert any("cut off" in problem and "cut_a" in problem for problem in reader.problems)


def test_all_frames_before_the_cut_are_kept(tmp_path):
    path = encode(tmp_path / "a.mp4", container_options={"movflags": "+faststart"})
    assert open_video(cut(path, places(path)[29][1])).video.num_frames == 30


def test_damaged_in_the_middle(tmp_path):
    path = encode(tmp_path / "a.mp4", container_options={"movflags": "+faststart"})
    first, end = places(path)[24]
    data = path.read_bytes()
    path.write_bytes(data[:first] + b"\xff" * (end - first) + data[end:])
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
    path = encode(tmp_path / "a.mp4")
    path = cut(path, places(path)[-1][1])
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


def damaged(path: Path) -> Path:
    """The file with noise in place of packets 45 to 54 and of what the container says of them."""
    if path.suffix in (".mpg", ".h264"):  # whose packets tell no place
        size = path.stat().st_size
        return overwritten(path, size // 2, size * 3 // 5)
    found = places(path)
    return overwritten(path, found[45][0], found[55][0])


def losses(reader: VideoReader, total: int) -> tuple[int, int]:
    """Frames of `numbered` that are lost before the last that is read, and behind it."""
    behind = total - 1 - number([*reader][-1].image)
    return total - reader.video.num_frames - behind, behind


def told(problems: list[str]) -> tuple[int, int]:
    """Frames that are said to be lost in the middle, and behind what can be read."""
    text = "\n".join(problems)
    between = re.search(r"damaged in the middle: about (\d+) frames are lost", text)
    behind = re.search(r"(?:read past|ends after) .* about (\d+) frames are lost", text)
    return int(between[1]) if between else 0, int(behind[1]) if behind else 0


@pytest.mark.parametrize("name", PROMISING)
def test_lost_frames_are_counted_where_the_container_states_them(tmp_path, name):
    file_name, settings = PROMISING[name]
    reader = open_video(damaged(encode(tmp_path / file_name, num_frames=100, **settings)))
    lost = 100 - reader.video.num_frames
    assert lost > 0
    assert f": cut off or damaged: {lost} of 100 frames are missing" in reader.problems[0]


@pytest.mark.parametrize("name", SILENT)
def test_lost_frames_are_estimated_elsewhere(tmp_path, name):
    """Whether the demuxer finds its way out of the noise depends on the bytes around it."""
    file_name, settings = SILENT[name]
    path = damaged(encode(tmp_path / file_name, num_frames=100, **settings))
    for _ in range(2):
        reader = open_video(path)
        lost = losses(reader, 100)
        assert sum(lost) > 0
        assert told(reader.problems) == pytest.approx(lost, abs=2)


def test_lost_in_the_middle_and_at_the_end(tmp_path):
    whole = encode(tmp_path / "a.flv", num_frames=100)
    found = places(whole)
    pictures = [first + 16 for first, _ in found]  # behind the tag's header and the codec's
    for packet in range(45, 55):
        end = found[packet][0] + 11 + int.from_bytes(whole.read_bytes()[found[packet][0] + 1 :][:3])
        overwritten(whole, pictures[packet], end)
    reader = open_video(whole)
    assert losses(reader, 100)[1] == 0
    assert told(reader.problems) == pytest.approx(losses(reader, 100), abs=2)
    size_of_tag = found[80][0] + 1
    overwritten(whole, size_of_tag, size_of_tag + 3)
    reader = open_video(whole)
    assert min(losses(reader, 100)) > 8
    assert told(reader.problems) == pytest.approx(losses(reader, 100), abs=2)
    assert "of 4.00 s" in reader.problems[0]


def test_what_is_cut_off_ends_and_what_is_damaged_cannot_be_read_on(tmp_path):
    whole = encode(tmp_path / "a.flv", num_frames=100)
    first = places(whole)[48][0]
    reader = open_video(cut(whole, first))
    assert reader.video.num_frames == 48
    (problem,) = reader.problems
    assert re.search(r"cut off or damaged: ends after 1.\d\d of 4.00 s, about 5\d frames", problem)
    data = bytearray(whole.read_bytes())
    data[first : first + 4] = b"\x05\xff\xff\xff"  # no picture, said to be longer than the file
    whole.write_bytes(data)
    reader = open_video(whole)
    assert reader.video.num_frames == 48
    (problem,) = reader.problems
    assert re.search(r"cannot be read past 1.\d\d of 4.00 s, about 5\d frames are lost", problem)


def test_lost_frames_of_a_file_that_cannot_be_read_on(tmp_path):
    fragmented = {"movflags": "frag_keyframe+empty_moov"}
    path = encode(tmp_path / "a.mp4", num_frames=100, container_options=fragmented)
    first, end = places(path)[45][0], places(path)[55][0]
    reader = open_video(overwritten(path, first, end))
    lost = 100 - reader.video.num_frames
    said = re.search(r"cannot be read past .* about (\d+) frames are lost", reader.problems[0])
    assert said is not None, reader.problems
    assert int(said[1]) == pytest.approx(lost, abs=20)


def test_without_times_an_unknown_number_may_be_missing(tmp_path):
    reader = open_video(damaged(encode(tmp_path / "a.h264", num_frames=100)))
    assert reader.video.num_frames < 100
    assert re.search(r"where frames may look wrong or be missing: [1-9]", reader.problems[0])


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_pause_is_no_loss(tmp_path, suffix):
    ticks = [512 * (index + 40 * (index >= 20)) for index in range(48)]
    reader = open_video(encode(tmp_path / f"a.{suffix}", ticks=ticks))
    assert reader.video.num_frames == 48
    assert reader.problems == []


def test_a_decoder_that_logs_holds_nothing_up(tmp_path):
    path = damaged(encode(tmp_path / "a.mkv", num_frames=100))
    code = """
import sys, av.logging
from trovid.video.opening import open_video
av.logging.set_level(av.logging.ERROR)
for _ in range(40):
    open_video(sys.argv[1]).video
"""
    subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize("name", [*PROMISING, *SILENT])
def test_frames_that_look_wrong_are_doubtful(tmp_path, name):
    file_name, settings = {**PROMISING, **SILENT}[name]
    path = encode(tmp_path / file_name, num_frames=100, **settings)
    whole = [frame.image for frame in open_video(path)]
    assert open_video(path).doubtful == ()
    reader = open_video(damaged(path))
    doubtful = {index for stretch in reader.doubtful for index in stretch}
    assert doubtful
    checked = 0
    for frame in reader:
        if frame.index not in doubtful:
            difference = frame.image.astype(int) - whole[number(frame.image)]
            assert np.abs(difference).max() < 48, frame.index
            checked += 1
    assert checked >= 20


@pytest.mark.parametrize(
    ("name", "said"),
    [("a.avi", "1 of 24 frames are missing"), ("a.mkv", "about 1 frames are lost")],
)
def test_a_motion_jpeg_picture_with_noise_is_lost(tmp_path, name, said):
    """Its decoder goes on with what it makes of most, and flags none."""
    path = encode(tmp_path / name, num_frames=24, codec="mjpeg", pix_fmt="yuvj420p")
    first, end = places(path)[10]
    reader = open_video(overwritten(path, first + (end - first) * 6 // 10, end))
    assert [number(frame.image) for frame in reader] == [*range(10), *range(11, 24)]
    assert said in reader.problems[0]
    assert range(9, 12) in reader.doubtful
    assert number(reader.read([15])[0].image) == 16


@pytest.mark.parametrize("right", [0, 5], ids=["all", "most"])
def test_motion_jpeg_whose_decoder_complains_of_most_pictures_is_shown(tmp_path, right):
    """As of cameras that write it a little wrong; `right` pictures at the start are right."""
    path = encode(tmp_path / "a.avi", num_frames=24, codec="mjpeg", pix_fmt="yuvj420p")
    for first, end in list(places(path))[right:]:
        overwritten(path, first + (end - first) * 6 // 10, end)
    reader = open_video(path)
    assert len(list(reader)) == reader.video.num_frames >= 20
    assert "finds errors in most pictures" in reader.problems[-1]


def test_a_picture_that_cannot_be_decoded_is_black(tmp_path):
    for index in range(6):
        Image.fromarray(numbered(index)).save(tmp_path / f"{index}.png")
    for index in (2, 3, 5):
        path = tmp_path / f"{index}.png"
        path.write_bytes(path.read_bytes()[:400])
    reader = BlankingReader(open_video(tmp_path, frame_rate=5))
    frames = list(reader)
    assert [frame.index for frame in frames] == list(range(6))
    assert [frame.time for frame in frames] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert [frame.index for frame in frames if not frame.image.any()] == [2, 3, 5]
    assert reader.unreadable == {2, 3, 5}
    assert [frame.index for frame in reader.walk([1, 3, 4])] == [1, 3, 4]


def test_damaged_sound_is_no_damage_of_the_pictures(tmp_path):
    """Of a video with a pause, of whose sound a part does not decode."""
    ticks = [512 * (index + 3 * (index > 8)) for index in range(12)]
    whole = encode(tmp_path / "whole.mp4", num_frames=12, ticks=ticks, sound="aac")
    path = tmp_path / "a.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        copies = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.dts is None:
                continue
            number, copy = packet.stream.index, packet
            if packet.stream.type == "audio" and packet.pts < 2048:
                copy = av.Packet(b"\x21" * packet.size)
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.stream = copies[number]
            target.mux(copy)
    with open_video(path) as reader:
        assert (len(reader), reader.problems) == (12, [])
