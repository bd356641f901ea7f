"""Labels of all splits, for results that are of any of them."""

from __future__ import annotations

import json
import logging

import pytest

from tests.datasets.labelled_folder import (
    coco_vid_labels,
    folder_labels,
    labelled_folder,
    write_frames,
    write_labels,
)
from tests.datasets.labelling_tools import CVAT
from tests.datasets.mot_folder import write_mot
from tests.datasets.youtube_vis_folder import write_youtube_vis
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.joining import joined
from trovid.datasets.objects import ObjectRows
from trovid.datasets.reading import read_dataset, read_labels
from trovid.structures import Masks, Video


def none_suffice(val) -> bool:
    return False


def test_validation_videos_are_enough_where_they_are_all_that_is_needed(tmp_path):
    labelled_folder(tmp_path, ("a", "cam.2"))
    write_labels(tmp_path, {**folder_labels(("a", "cam.2")), "val": ["cam.2"]})
    assert [v.name for v in read_labels(tmp_path).videos] == ["cam.2"]
    every = read_labels(tmp_path, lambda val: "a" in val)
    assert {v.name for v in every.videos} == {"a", "cam.2"}
    assert len(every.ground_truth("a", frames=[0])[0]) == 2


def test_where_no_split_is_given_nothing_is_divided(tmp_path, caplog):
    root = write_mot(tmp_path, "MOT17-02-FRCNN", "MOT17-04-SDP") / "train"
    with caplog.at_level(logging.WARNING):
        assert len(read_labels(root).videos) == len(read_labels(root.parent).videos) == 2
    assert caplog.text == ""


def test_a_single_video_of_cvat(tmp_path):
    write_frames(tmp_path / "street.mp4", count=8)
    (tmp_path / "annotations.xml").write_text(CVAT)
    assert [v.name for v in read_labels(tmp_path).videos] == ["street.mp4"]


def test_a_file_a_split(tmp_path):
    """A video of both is read once."""
    labelled_folder(tmp_path, ("street", "yard"))
    (tmp_path / "val.json").write_text(json.dumps(coco_vid_labels(("street",))))
    train = {**folder_labels(("yard", "street")), "classes": ["star", "cup"]}
    (tmp_path / "train.json").write_text(json.dumps(train))
    dataset = read_labels(tmp_path, none_suffice)
    assert [v.name for v in dataset.videos] == ["street", "yard"]
    for name in ("street", "yard"):
        (truth,) = dataset.ground_truth(name, frames=[2])
        found = dict(zip([truth.class_names[i] for i in truth.labels], truth.boxes, strict=True))
        assert found["cup"].tolist() == [12, 10, 32, 40]
        assert found["star"].tolist() == [50, 20, 80, 60]


def test_another_video_of_a_name_that_is_taken_is_told_apart():
    def of(path: str) -> Dataset:
        entry = VideoEntry(Video("a", 2, 4, 4), path, [0])
        return Dataset(["cup"], [entry], ObjectRows().objects())

    both = joined({"val": of("one/a"), "train": of("two/a")})
    assert {v.name: str(both.path(v.name)) for v in both.videos} == {
        "a": "one/a",
        "train/a": "two/a",
    }


def test_masks_and_what_only_some_know_are_kept(tmp_path):
    root = write_youtube_vis(tmp_path / "ytvis")
    masked = read_dataset(root / "train/instances.json")
    plain = read_dataset(labelled_folder(tmp_path / "own"), split="train")
    both = joined({"val": plain, "train": masked})
    name = masked.videos[0].name
    ours, theirs = (dataset.ground_truth(name, masks=True) for dataset in (both, masked))
    assert both.objects.masks is not None
    assert both.objects.masks[0] == b""
    assert len(both.objects) == len(plain.objects) + len(masked.objects)
    for one, other in zip(ours, theirs, strict=True):
        assert isinstance(one.masks, Masks)
        assert one.masks.counts == other.masks.counts
    for column, values in masked.objects.attributes.items():
        joint = both.objects.attributes[column]
        assert joint[len(plain.objects) :].tolist() == pytest.approx(values.tolist(), nan_ok=True)
