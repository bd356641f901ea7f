"""What files written for labels are called, where they say the videos lie, and their pictures."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from PIL import Image

from tests.datasets.coco_folder import coco_folder
from tests.datasets.own_folder import own_folder, own_labels, write_frames, write_labels
from tests.media import encode
from trovid.datasets.reading import read_split
from trovid.datasets.writing import write_dataset
from trovid.datasets.writing.places import plain_names
from trovid.errors import TrovidError

ALIKE = ("a.mp4", "a.mkv", "cam.1", "cam.2", "x y", "x_y")


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """Videos whose names differ in what a file's name leaves out, each with a box of its own."""
    folder = tmp_path_factory.mktemp("alike")
    labels = own_labels(ALIKE)
    for number, name in enumerate(ALIKE):
        if name.startswith("a."):
            encode(folder / name, num_frames=6)
        else:
            write_frames(folder / name, shade=40 * number)
        for objects in labels["videos"][name].values():
            objects[0] |= {"box": [number, 1, 20 + number, 30], "class": "person"}
            del objects[1:]
    return read_split(write_labels(folder, labels), None)


def test_names_are_those_of_the_videos_and_no_two_alike(alike):
    assert list(plain_names(alike).values()) == ["a", "a-2", "cam.1", "cam.2", "x_y", "x_y-2"]


def test_a_name_of_its_own_is_kept_whatever_the_others_are_called(tmp_path):
    labels = read_split(own_folder(tmp_path, ("b c", "b?c", "B_C-3", "b_c-2", "...")), None)
    assert list(plain_names(labels).values()) == ["b_c", "b_c-4", "B_C-3", "b_c-2", "video"]


@pytest.mark.parametrize("form", ["cvat", "yolo", "mot"])
def test_every_video_has_labels_of_its_own(alike, tmp_path, form):
    write_dataset(tmp_path, alike, form)
    splits = ("train", "val") if form == "yolo" else (None,)
    found = np.concatenate([read_split(tmp_path, s).objects.boxes[:, 0] for s in splits])
    assert sorted(found.round(1).tolist()) == sorted(alike.objects.boxes[:, 0].tolist())


@pytest.mark.parametrize("form", ["cvat", "label-studio"])
def test_videos_that_lie_elsewhere_are_found(alike, tmp_path, form):
    target = tmp_path / "deep/er" / ("tasks.json" if form == "label-studio" else "")
    write_dataset(target, alike, form)
    found = read_split(target, None)
    sources = {alike.path(video.name).resolve() for video in alike.videos}
    assert {found.path(video.name).resolve() for video in found.videos} == sources


def test_pictures_of_before_do_not_stay(tmp_path, caplog):
    folder = own_folder(tmp_path / "own", ("one", "two"))
    target = tmp_path / "yolo"
    write_dataset(target, read_split(folder, None), "yolo")
    old = np.array(Image.open(target / "images/train/one_000002.png"))
    Image.new("RGB", old.shape[1::-1], (7, 7, 7)).save(folder / "one/0003.png")
    with caplog.at_level(logging.WARNING, "trovid"):
        write_dataset(target, read_split(folder, None), "yolo")
        assert not caplog.records
        assert (np.array(Image.open(target / "images/train/one_000002.png")) == 7).all()
        write_dataset(target, read_split(folder, None).subset(["one"]), "yolo")
    assert "holds 3 pictures of before" in caplog.text


def test_a_videos_own_frames_are_not_written_over(alike, tmp_path):
    write_dataset(tmp_path, alike, "mot")
    again = read_split(tmp_path, None)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.png")}
    with pytest.raises(TrovidError, match="holds the video's own frames"):
        write_dataset(tmp_path, again, "mot")
    assert all(file.read_bytes() == bytes_ for file, bytes_ in before.items())


@pytest.mark.parametrize(
    ("called", "message"),
    [
        ("{video}_{frame}.png", "'v0' and 'v1' cannot be written as own: both lie in .*, by which"),
        ("{frame}/{video}.png", "'v0' cannot be written as own: its frames lie in several folders"),
    ],
)
def test_own_names_a_video_by_its_folder(tmp_path, called, message):
    """Two videos whose frames lie in one folder would be one, and frames of several none."""
    source = read_split(coco_folder(tmp_path / "flat", called), None)
    with pytest.raises(TrovidError, match=message) as error:
        write_dataset(tmp_path / "labels.json", source, "own")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "labels.json").exists()
