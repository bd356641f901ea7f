"""Several data sets as one, drawn by their weights."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from tests.datasets.labelled_folder import (
    coco_vid_labels,
    folder_labels,
    labelled_folder,
    write_labels,
)
from trovid.datasets.check import check_data
from trovid.datasets.reading import format_of, read_dataset, splits_of
from trovid.errors import TrovidError
from trovid.training.clips import TrainingClips
from trovid.video.transforms import FrameTransform


@pytest.fixture
def mixture(tmp_path):
    labelled_folder(tmp_path / "one", ("street", "yard"))
    other = labelled_folder(tmp_path / "two", ("garden",))
    labels = folder_labels(("garden",))
    for objects in labels["videos"]["garden"].values():
        objects[0]["class"] = "gear"
    write_labels(other, labels)
    path = tmp_path / "mix.json"
    parts = [{"data": "one", "weight": 1}, {"data": "two", "weight": 3}]
    path.write_text(json.dumps({"mix": parts}))
    return path


def test_videos_and_classes_of_all(mixture):
    assert format_of(mixture).name == "a mixture"
    assert splits_of(mixture) == ()
    dataset = read_dataset(mixture)
    assert dataset.class_names == ("cup", "star", "gear")
    assert [v.name for v in dataset.videos] == ["0/street", "0/yard", "1/garden"]
    (truth,) = dataset.ground_truth("1/garden", frames=[2])
    assert [truth.class_names[label] for label in truth.labels] == ["gear", "star"]
    assert len(dataset.open("1/garden").read([5])) == 1
    assert check_data(mixture).errors == []
    assert [v.name for v in dataset.subset(["1/garden"]).videos] == ["1/garden"]


def test_every_split_has_the_classes_of_all(mixture, tmp_path):
    """Where one alone has videos for validation, and the last none for training."""
    write_labels(tmp_path / "one", folder_labels(("street", "yard")) | {"val": ["yard"]})
    stars = coco_vid_labels(("park",))
    stars["categories"][0]["name"] = "moon"
    labelled_folder(tmp_path / "three", ("a", "b", "park"))
    (tmp_path / "three/labels.json").unlink()
    (tmp_path / "three/test.json").write_text(json.dumps(stars))
    parts = [{"data": "two"}, {"data": "one"}, {"data": "three"}]
    mixture.write_text(json.dumps({"mix": parts}))
    assert splits_of(mixture) == ("train", "val", "test")
    for split, names in (
        ("train", ["0/garden", "1/street"]),
        ("val", ["0/yard"]),
        ("test", ["0/park"]),
    ):
        dataset = read_dataset(mixture, split=split)
        assert dataset.class_names == ("gear", "star", "cup", "moon")
        assert [video.name for video in dataset.videos] == names
    truth = read_dataset(mixture, split="test").ground_truth("0/park", frames=[0])[0]
    assert [truth.class_names[label] for label in truth.labels] == ["moon", "star"]
    assert check_data(mixture).errors == []


@pytest.mark.parametrize("draw", ["clips", "frames", "balanced"])
def test_each_is_drawn_as_often_as_its_weight_says(mixture, tmp_path, draw):
    dataset = read_dataset(mixture)
    clips = TrainingClips(dataset, FrameTransform(48, 80), cache=tmp_path / "frames")
    rng = random.Random(0)
    drawn = Counter(clips._draw_target(draw, rng)[0].name for _ in range(2000))
    assert drawn["1/garden"] / 2000 == pytest.approx(0.75, abs=0.04)
    assert drawn["0/street"] / 2000 == pytest.approx(0.125, abs=0.03)


def test_a_data_set_of_which_no_video_is_left_is_refused(mixture, tmp_path):
    dataset = read_dataset(mixture)
    for used in ({"videos": 2}, {}):
        left = dataset if used else dataset.subset(["0/street", "0/yard"])
        with pytest.raises(TrovidError, match=r"data set 2 of the mixture \(weight 3\) has no lab"):
            TrainingClips(left, FrameTransform(48, 80), cache=tmp_path / "frames", **used)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([{"data": "three"}], r"mix\[0\]\.data: .*three is not there"),
        ([{"data": "one", "weight": 0}], r"mix\[0\]\.weight must be a number above 0"),
        ([{"path": "one"}], r"mix\[0\] must be"),
        ([{"data": "mix.json"}], "names a mixture"),
    ],
)
def test_misfits(mixture, parts, message):
    mixture.write_text(json.dumps({"mix": parts}))
    with pytest.raises(TrovidError, match=message):
        read_dataset(mixture)


def test_rare_classes_are_balanced_within_each_data_set(tmp_path):
    videos = tuple(f"v{number:02}" for number in range(40))
    labels = folder_labels(videos)
    for objects in labels["videos"]["v00"].values():
        objects[0]["class"] = "gear"
    write_labels(labelled_folder(tmp_path / "one", videos), labels)
    labelled_folder(tmp_path / "two", ("garden",))
    path = tmp_path / "mix.json"
    path.write_text(json.dumps({"mix": [{"data": "one"}, {"data": "two"}]}))
    dataset = read_dataset(path)
    clips = TrainingClips(dataset, FrameTransform(48, 80), cache=tmp_path / "frames")
    rng = random.Random(0)
    drawn = Counter(clips._draw_target("balanced", rng)[0].name for _ in range(6000))
    assert drawn["1/garden"] / 6000 == pytest.approx(0.5, abs=0.03)
    assert drawn["0/v00"] / (6000 - drawn["1/garden"]) == pytest.approx(2 / 41, abs=0.01)
