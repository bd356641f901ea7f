"""What files written for labels are called, where they say the videos lie, and their pictures."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from PIL import Image

from tests.datasets.coco_folder import coco_folder
from tests.datasets.labelled_folder import (
    coco_vid_labels,
    folder_labels,
    labelled_folder,
    write_frames,
    write_labels,
)
from tests.media import encode
from trovid.datasets.check import check_data
from trovid.datasets.reading import read_split
from trovid.datasets.writing import write_dataset
from trovid.datasets.writing.places import plain_names
from trovid.errors import TrovidError

ALIKE = ("a.mp4", "a.mkv", "cam.1", "cam.2", "x y", "x_y")


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """Videos whose names differ in what a file's name leaves out, each with a box of its own."""
    folder = tmp_path_factory.mktemp("alike")
    labels = folder_labels(ALIKE)
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
    labels = read_split(labelled_folder(tmp_path, ("b c", "b?c", "B_C-3", "b_c-2", "...")), None)
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
    folder = labelled_folder(tmp_path / "own", ("one", "two"))
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


@pytest.mark.parametrize(
    "called", ["{video}/{frame}.png", "all/{video}_{frame}.png", "{frame}/{video}.png"]
)
def test_labels_stay_on_their_frames(tmp_path, called):
    """Every third picture of a folder is a frame, and of those one alone is labelled."""
    folder = coco_folder(tmp_path / "coco", called, every=3)
    document = json.loads((folder / "labels.json").read_text())
    for image in document["images"]:
        image["is_vid_train_frame"] = image["frame_id"] == 1
    document["annotations"] = document["annotations"][1::2]
    (folder / "labels.json").write_text(json.dumps(document))
    source = read_split(folder, None)
    write_dataset(tmp_path / "new/labels.json", source, "coco-vid")
    found = read_split(tmp_path / "new", None)
    for video in ("v0", "v1"):
        assert found.labelled_frames(video).tolist() == [1]
        assert found.open(video).read([0])[0].image[0, 0, 0] == 0
        assert found.open(video).read([1])[0].image[0, 0, 0] == 40 * 3
        assert len(found.open(video)) == 2
    assert found.objects.boxes[:, 0].tolist() == [3, 3]
    assert {finding.name for finding in check_data(tmp_path / "new").findings} == {"no-val"}
    for form in ("cvat", "label-studio"):
        with pytest.raises(TrovidError, match="its frames are not all the pictures of"):
            write_dataset(tmp_path / "tasks", source, form)


def test_names_of_some_frames_stay(tmp_path):
    """What COCO-VID says of its labelled frames alone."""
    folder = labelled_folder(tmp_path / "own", ("one",))
    write_labels(folder, coco_vid_labels(("one",)))
    source = read_split(folder, None)
    write_dataset(tmp_path / "labels.json", source, "coco-vid")
    named = read_split(tmp_path / "labels.json", None).named_files("one")
    assert named == ["0001.png", "", "0003.png", "", "0005.png", ""]
