"""Frames of training videos: exact wherever they come from, and never those of another file."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from PIL import Image

from tests.media import encode, number, numbered
from tests.training.tiny import LENGTHS, TRANSFORM, tiny_dataset
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.errors import TrovidError
from trovid.structures import Video
from trovid.training.frames import ResizedFrames
from trovid.video.transforms import FrameTransform, make_transform


def dataset_of(**paths) -> Dataset:
    """Videos of 12 frames of 64x96 without any object."""
    entries = [
        VideoEntry(Video(name, 12, 64, 96), str(path), range(12)) for name, path in paths.items()
    ]
    return Dataset(["thing"], entries, ObjectRows().objects())


def frames_of(dataset, cache, transform=TRANSFORM, **options) -> ResizedFrames:
    names = [video.name for video in dataset.videos]
    return ResizedFrames(dataset, names, transform, cache=cache, **options)


def seen(frames: ResizedFrames, name: str, *indices: int) -> list[int]:
    return [number(frame) for frame in frames.read(name, indices)]


@pytest.mark.parametrize("room", [None, 0], ids=["stored", "decoded"])
def test_the_frames_asked_for_come_in_their_order(dataset, tmp_path, room):
    frames = frames_of(dataset, tmp_path, room=room)
    assert frames.stored == (room is None)
    assert len(list(tmp_path.iterdir())) == (2 if room is None else 0)
    for reader in (frames, pickle.loads(pickle.dumps(frames))):
        assert seen(reader, "one", 7, 0, 7, 11) == [7, 0, 7, 11]
        assert seen(reader, "two", 3) == [3]


@pytest.mark.parametrize("name", [None, "torchvision"])
def test_stored_and_decoded_frames_are_the_same_bits(dataset, tmp_path, name):
    values = {"mean": (1.0, 2.0, 3.0), "std": (4.0, 5.0, 6.0), "divisor": 16}
    transform = make_transform(name=name, shorter=40, longer=80, **values)
    stored, decoded = (frames_of(dataset, tmp_path, transform, room=room) for room in (None, 0))
    assert stored.stored
    again = frames_of(dataset, tmp_path / "other", transform, room=0)
    for indices in ([5, 2], [0], range(12)):
        wanted = stored.read("one", indices)
        assert wanted.shape == (len(indices), 40, 60, 3)
        assert np.array_equal(wanted, decoded.read("one", indices))
        assert np.array_equal(wanted, again.read("one", indices))
    assert not again.stored


def test_videos_are_stored_as_long_as_there_is_room(dataset, tmp_path, caplog):
    one = LENGTHS["one"] * 64 * 96 * 3
    frames = frames_of(dataset, tmp_path, room=one)
    assert not frames.stored
    assert "decoded when needed" in caplog.text
    assert len(list(tmp_path.iterdir())) == 1
    assert seen(frames, "one", 5) == seen(frames, "two", 5) == [5]


def test_what_is_stored_is_not_decoded_again(dataset, tmp_path):
    frames_of(dataset, tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    told = []
    frames_of(dataset, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before
    assert told == [(1, 2), (2, 2)]


def test_a_file_cut_off_by_a_crash_is_written_again(dataset, tmp_path):
    frames_of(dataset, tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:1000])
    assert seen(frames_of(dataset, tmp_path), "one", 11) == [11]


def inverted(index: int) -> np.ndarray:
    return numbered(index)[::-1].copy()


def test_another_content_under_the_same_name_is_seen(tmp_path):
    path, cache = tmp_path / "a.mp4", tmp_path / "cache"
    encode(path)
    time = path.stat().st_mtime_ns
    first = frames_of(dataset_of(a=path), cache).read("a", [3])
    content = path.read_bytes()
    encode(path, picture=inverted)
    os.utime(path, ns=(time, time))  # only size and content tell
    second = frames_of(dataset_of(a=path), cache).read("a", [3])
    assert not np.array_equal(first, second)
    path.write_bytes(content)
    os.utime(path, ns=(time, time))
    assert np.array_equal(first, frames_of(dataset_of(a=path), cache).read("a", [3]))
    assert len(list(cache.iterdir())) == 2
    os.utime(path, ns=(time, time + 1))
    frames_of(dataset_of(a=path), cache)
    assert len(list(cache.iterdir())) == 3


def test_one_byte_in_the_last_mebibyte_tells_two_files_apart(tmp_path):
    path, cache = tmp_path / "a.mp4", tmp_path / "cache"
    encode(path)
    with path.open("ab") as file:
        file.write(bytes(3 * 2**20))
    time = path.stat().st_mtime_ns
    frames_of(dataset_of(a=path), cache)
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"x")
    os.utime(path, ns=(time, time))
    frames_of(dataset_of(a=path), cache)
    assert len(list(cache.iterdir())) == 2


def test_transforms_and_names_have_files_of_their_own(tmp_path):
    path, cache = encode(tmp_path / "a.mp4"), tmp_path / "cache"
    frames_of(dataset_of(a=path, b=path), cache)
    frames_of(dataset_of(a=path), cache, FrameTransform(32, 48))
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("name", ["../../outside", "/outside", "a/b", "x\0y", "\udcff", "." * 300])
def test_a_name_leads_nowhere(tmp_path, name):
    path, cache = encode(tmp_path / "a.mp4"), tmp_path / "deep" / "deeper" / "cache"
    before = {*tmp_path.iterdir()}
    frames = frames_of(dataset_of(**{name: path}), cache)
    assert seen(frames, name, 4) == [4]
    assert {*tmp_path.iterdir()} - before == {tmp_path / "deep"}
    assert {p for p in (tmp_path / "deep").rglob("*") if p.is_file()} == {*cache.iterdir()}


def test_images_are_read_when_asked_for(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(12):
        Image.fromarray(numbered(index)).save(folder / f"{index}.png")
    frames = frames_of(dataset_of(many=folder, single=folder / "5.png"), tmp_path / "cache")
    assert not frames.stored
    assert not any((tmp_path / "cache").iterdir())
    assert seen(frames, "many", 11, 2) == [11, 2]
    assert seen(frames, "single", 0, 0) == [5, 5]
    (folder / "11.png").unlink()
    with pytest.raises(TrovidError, match="images: has 11 frames, but its labels say 12"):
        frames.read("many", [11])
    (folder / "3.png").write_bytes(b"")
    with pytest.raises(TrovidError, match=r"3\.png: not a readable image"):
        frames.read("many", [3])


def test_a_missing_video_is_one_line(tmp_path):
    with pytest.raises(TrovidError, match=r"a\.mp4: cannot be read \(No such file"):
        frames_of(dataset_of(a=tmp_path / "a.mp4"), tmp_path / "cache")


@pytest.mark.parametrize("room", [None, 0])
def test_a_video_shorter_than_its_labels_is_one_line(tmp_path, room):
    path = encode(tmp_path / "a.mp4", num_frames=9)
    with pytest.raises(TrovidError, match=r"a\.mp4: has 9 frames, but its labels say 12"):
        frames_of(dataset_of(a=path), tmp_path / "cache", room=room)


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    dataset = tiny_dataset(tmp_path, one=12)

    class Broken(FrameTransform):
        done = 0

        def resize(self, frame):
            Broken.done += 1
            if Broken.done == 7:
                raise KeyboardInterrupt
            return super().resize(frame)

    with pytest.raises(KeyboardInterrupt):
        frames_of(dataset, tmp_path / "cache", Broken(64, 96))
    assert not any((tmp_path / "cache").iterdir())
