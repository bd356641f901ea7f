"""Frames that a file's packets tell of, before they are counted."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import av
import pytest

from tests import media
from trovid.errors import TrovidError
from trovid.video.file import FileReader

encode = partial(media.encode, num_frames=48)


def assert_no_thread_counts():
    """Nor one that has just given its result."""
    for thread in threading.enumerate():
        if thread.name == "trovid-reading":
            thread.join(10)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("name", "how"),
    {
        "h264-mp4": ("a.mp4", {}),
        "h264-mkv": ("a.mkv", {}),
        "open-gop": ("a.mp4", {"options": {"bf": "3", "x264-params": "open-gop=1:bframes=3"}}),
        "variable-rate": ("a.mp4", {"ticks": [(1280 * i + 300 * (i % 3)) for i in range(48)]}),
        "late": ("a.mkv", {"ticks": [51200 + 1280 * i for i in range(48)]}),
        "fragments": ("a.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
        "vp9": ("a.webm", {"codec": "libvpx-vp9", "num_frames": 24}),
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_they_are_those_that_decode(tmp_path, name, how):
    path = encode(tmp_path / how[0], **how[1])
    counted, reader = FileReader(path), FileReader(path)
    assert reader.foresee()
    assert reader.foreseen
    assert reader.video == counted.video
    assert list(reader.times) == list(counted.times)
    assert [frame.index for frame in reader.read([5, 20])] == [5, 20]
    assert reader.as_foreseen()
    reader.settle()
    assert not reader.foreseen
    assert list(reader.times) == list(counted.times)


def test_other_files_are_counted(tmp_path):
    assert not FileReader(encode(tmp_path / "a.ts")).foresee()
    assert not FileReader(encode(tmp_path / "a.avi", codec="mpeg4")).foresee()
    assert not FileReader(encode(tmp_path / "a.mkv", codec="mpeg4")).foresee()
    assert not FileReader(spoilt(tmp_path / "spoilt.mkv")).foresee()


def spoilt(path: Path) -> Path:
    """A video whose packets are all there, of which some cannot be decoded."""
    encode(path)
    with av.open(str(path)) as container:
        packets = [(p.pos or 0, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for first, size in packets[24:27]:
        data[first : first + size] = bytes(size)
    path.write_bytes(data)
    return path


def test_damage_that_no_packet_shows_is_found_by_counting(tmp_path):
    reader = FileReader(spoilt(tmp_path / "a.mp4"))
    reader.count_ahead()
    assert reader.foresee()
    assert reader.video.num_frames == 48
    assert not reader.as_foreseen()
    reader.settle()
    counted = FileReader(reader.path)
    assert reader.video == counted.video
    assert reader.video.num_frames < 48
    assert reader.problems == counted.problems != []
    assert [frame.index for frame in reader] == list(range(counted.video.num_frames))


def test_what_goes_wrong_ahead_is_raised_where_the_frames_are_needed(tmp_path):
    reader = FileReader(encode(tmp_path / "a.mp4"))
    reader.path.write_bytes(b"")
    reader.count_ahead()
    assert reader.counted(10)
    for _ in range(2):
        with pytest.raises(TrovidError, match="is empty"):
            reader.video.num_frames  # noqa: B018


def test_given_up_it_leaves_no_thread_and_counts_anew_when_asked(tmp_path):
    reader = FileReader(encode(tmp_path / "a.mp4"))
    reader.count_ahead()
    reader.give_up()
    assert_no_thread_counts()
    assert reader.video.num_frames == 48


def first_middle_last(count: int) -> list[int]:
    return [count - 1, 0, count // 2]


def test_frames_that_will_be_read_at_first_are_decoded_before_the_count(tmp_path):
    path = encode(tmp_path / "a.mp4", options={"g": "12"})
    expected = FileReader(path).read([0, 24, 47])
    reader = FileReader(path)
    reader.count_ahead(first_middle_last)
    assert reader.counted(20)
    path.write_bytes(b"")  # from now on there is nothing to decode
    read = reader.read([0, 24, 47])
    assert [frame.time for frame in read] == [frame.time for frame in expected]
    assert all((a.image == b.image).all() for a, b in zip(read, expected, strict=True))
    with pytest.raises(TrovidError):
        reader.read([0, 24, 47])  # they are kept once
    assert_no_thread_counts()


@pytest.mark.parametrize("foresee", [True, False])
def test_other_frames_are_read_as_ever(tmp_path, foresee):
    path = encode(tmp_path / "a.mp4")
    reader = FileReader(path)
    reader.count_ahead(first_middle_last)
    assert not foresee or reader.foresee()
    assert [frame.index for frame in reader.walk([3, 4])] == [3, 4]
    assert [frame.index for frame in reader.read([47, 24, 0])] == [47, 24, 0]


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_of_a_damaged_file_none_is_taken_that_was_decoded_early(tmp_path, name):
    path = spoilt(tmp_path / name)
    counted, reader = FileReader(path), FileReader(path)
    reader.count_ahead(first_middle_last)
    last = counted.video.num_frames - 1
    for read, expected in zip(reader.read([0, 20, last]), counted.read([0, 20, last]), strict=True):
        assert read.time == expected.time
        assert (read.image == expected.image).all()
    wanted = sorted(first_middle_last(last + 1))
    for read, expected in zip(reader.read(wanted), counted.read(wanted), strict=True):
        assert (read.image == expected.image).all()


def test_given_up_the_frames_are_decoded_when_they_are_read(tmp_path):
    reader = FileReader(encode(tmp_path / "a.mp4"))
    reader.count_ahead(first_middle_last)
    reader.give_up()
    assert_no_thread_counts()
    assert [frame.index for frame in reader.read([0, 24, 47])] == [0, 24, 47]
