"""Videos with one JSON written by hand."""

from __future__ import annotations

import json

import pytest

from tests.datasets.labelled_folder import (
    HEIGHT,
    WIDTH,
    folder_labels,
    labelled_folder,
    write_labels,
)
from tests.media import encode
from trovid.datasets.check import check_data
from trovid.datasets.plain_json import read_plain_json
from trovid.datasets.reading import learned_from, read_dataset, splits_of
from trovid.errors import TrovidError
from trovid.structures import Video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return labelled_folder(tmp_path_factory.mktemp("own"))


def test_ten_lines_by_hand(tmp_path):
    """What docs/own-data.md says."""
    encode(tmp_path / "street.mp4", num_frames=5)
    write_labels(
        tmp_path,
        """{"videos": {
          "street.mp4": {
            "0": [{"class": "car", "box": [10, 8, 40, 30]},
                  {"class": "bus", "box": [50, 8, 90, 60], "ignore": true}],
            "3": [{"class": "car", "box": [20, 8, 50, 30], "crowd": true}],
            "4": []
          }
        }}""",
    )
    dataset = read_dataset(tmp_path, split=None)
    assert dataset.class_names == ("bus", "car")
    (video,) = dataset.videos
    assert (video.name, video.num_frames, video.height, video.width) == ("street.mp4", 5, 64, 96)
    assert dataset.labelled_frames("street.mp4").tolist() == [0, 3, 4]
    first, third, empty = dataset.ground_truth("street.mp4", frames=[0, 3, 4])
    assert first.boxes.tolist() == [[10, 8, 40, 30], [50, 8, 90, 60]]
    assert first.labels.tolist() == [1, 0]
    assert first.counted.tolist() == [True, False]
    assert third.crowd.tolist() == [True]
    assert len(set(first.instance_ids.tolist() + third.instance_ids.tolist())) == 3
    assert len(empty) == 0
    assert len(dataset.open("street.mp4").read([3])) == 1


def test_folders_of_frames_and_names_of_frames(folder, tmp_path):
    labels = folder_labels()
    labels["videos"]["street"] = {"0003.png": labels["videos"]["street"]["2"]}
    labels["classes"] = ["star", "cup", "gear"]
    path = folder / "named.json"
    path.write_text(json.dumps(labels))
    dataset = read_plain_json(path)
    assert dataset.class_names == ("star", "cup", "gear")
    assert dataset.video("street") == Video("street", 6, HEIGHT, WIDTH)
    assert dataset.labelled_frames("street").tolist() == [2]
    assert dataset.ground_truth("street", frames=[2])[0].instance_ids.tolist() == [1, 2]
    path.unlink()


def test_a_missing_split_is_made_by_video_and_said(folder, caplog):
    assert splits_of(folder) == ()
    train, val = (read_dataset(folder, split=split) for split in ("train", "val"))
    names = [[video.name for video in part.videos] for part in (train, val)]
    assert len(names[0]) == 4
    assert len(names[1]) == 1
    assert not set(names[0]) & set(names[1])
    assert "4 videos are for training, 1 for validation" in caplog.text
    assert len(read_dataset(folder / "labels.json").videos) == 5
    assert len(val.objects) == 6


def test_what_a_training_learns_of_a_file_that_is_read_whole(folder, tmp_path):
    path = folder / "labels.json"
    whole = read_dataset(path)
    words = "read whole: a training on it learns from 4 of these 5 videos; `trovid data split"
    assert words in learned_from(path, whole)
    assert learned_from(folder, read_dataset(folder)) is None
    assert learned_from(path, whole.subset(["yard"])) is None
    for name, told in (("val", False), ("my_test2", False), ("carnival", True), ("train", True)):
        copy = path.rename(folder / f"{name}.json")
        assert (learned_from(copy, whole) is not None) == told
        copy.rename(path)


def test_splits_that_the_file_names(tmp_path):
    folder = labelled_folder(tmp_path / "own")
    write_labels(folder, {**folder_labels(), "val": ["yard"], "test": ["park"]})
    assert splits_of(folder) == ("train", "val", "test")
    assert [v.name for v in read_dataset(folder, split="val").videos] == ["yard"]
    assert len(read_dataset(folder, split="train").videos) == 3
    assert len(read_dataset(folder, split=None).videos) == 5


def changed(change) -> dict:
    labels = folder_labels()
    change(labels, labels["videos"]["street"]["0"][0])
    return labels


MISFITS = {
    "is no JSON": lambda labels, thing: thing.update(box=[1e400, 0, 1, 1]),
    "'klass'; did you mean 'class'?": lambda labels, thing: thing.update(klass="cup"),
    "class 'cop' is not among `classes`; did you mean 'cup'?": lambda labels, thing: (
        labels.update(classes=["cup", "star"]),
        thing.update({"class": "cop"}),
    ),
    "`box` must be [x1, y1, x2, y2], but is [1, 2, 3]": lambda labels, thing: thing.update(
        box=[1, 2, 3]
    ),
    "`box` must have x1 < x2": lambda labels, thing: thing.update(box=[5, 5, 5, 9]),
    "street frame 9: must lie in 0..5": lambda labels, thing: labels["videos"]["street"].update(
        {"9": []}
    ),
    "street frame 0004.jpg: must be": lambda labels, thing: labels["videos"]["street"].update(
        {"0004.jpg": []}
    ),
    "; did you mean 'street'?": lambda labels, thing: labels["videos"].update(stret={}),
    "`val` names 'yrd', which is no video of the file; did you mean": lambda labels, thing: (
        labels.update(val=["yrd"])
    ),
    "`id` must be a whole number from 0, but is 'a'": lambda labels, thing: thing.update(id="a"),
}


@pytest.mark.parametrize("message", MISFITS)
def test_misfits_are_one_line_with_their_place(folder, message):
    if message == "is no JSON":
        text = '{"videos": {\n"street": {,}}}'
        message = "bad.json:2: is no JSON"
    else:
        text = json.dumps(changed(MISFITS[message]))
    path = folder / "bad.json"
    path.write_text(text)
    try:
        with pytest.raises(TrovidError) as error:
            read_plain_json(path, split=None if "val" not in message else "val")
    finally:
        path.unlink()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [('"yard"', '"street"', "street"), ('"2": [', '"0": [', "0"), ('"id"', '"class"', "class")],
)
def test_a_name_that_is_there_twice_is_a_fault(folder, tmp_path, old, new, name):
    """JSON itself lets the last one win."""
    path = folder / "twice.json"
    path.write_text(json.dumps(folder_labels()).replace(old, new, 1))
    try:
        with pytest.raises(TrovidError, match=rf"twice\.json: '{name}' is there twice: put both"):
            read_plain_json(path)
        assert "unreadable-labels" in {finding.name for finding in check_data(path).errors}
    finally:
        path.unlink()
