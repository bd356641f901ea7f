"""A training knows its data again wherever they lie, and other data are other ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.coco_document import write_coco_vid
from tests.datasets.coco_folder import coco_folder
from tests.training.tiny import tiny_dataset
from trovid.datasets.coco import read_coco
from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.contract import Dataset
from trovid.errors import TrovidError
from trovid.training.identity import dataset_digest


def digest(dataset: Dataset) -> str:
    return dataset_digest(dataset, [video.name for video in dataset.videos])


def test_the_same_videos_elsewhere_are_the_same(tmp_path):
    (tmp_path / "here").mkdir()
    write_coco_vid(tmp_path / "here" / "train.json", tiny_dataset(tmp_path / "here"))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    labels = tmp_path / "there" / "train.json"
    labels.write_text(labels.read_text().replace("/here/", "/there/"))
    here, there = (read_coco_vid(tmp_path / name / "train.json") for name in ("here", "there"))
    assert here.path("one") != there.path("one")
    assert digest(here) == digest(there) != dataset_digest(here, ["one"])
    shutil.copy(there.path("two"), there.path("one"))
    assert digest(here) != digest(there)


@pytest.mark.parametrize("column", ["boxes", "labels", "instance_ids", "crowd", "ignore"])
def test_other_labels_are_other_data(dataset, column):
    """One object differs."""
    values = np.array(getattr(dataset.objects, column))
    values[-1] = ~values[-1] if values.dtype == bool else values[-1] + 1
    other = dataset.subset()
    other.objects = replace(other.objects, **{column: values})
    assert digest(dataset.subset()) == digest(dataset) != digest(other)


def changed(folder: Path, change: Callable[[Path], object]) -> str:
    other = folder.with_name("other")
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(folder, other)
    change(other)
    return digest(read_coco(other / "labels.json"))


def test_of_a_folder_its_first_and_last_picture_count(tmp_path):
    folder = coco_folder(tmp_path / "data")
    first, last = (f"{read_coco(folder / 'labels.json').videos[0].name}/{n}.png" for n in (0, 5))
    plain = digest(read_coco(folder / "labels.json"))
    assert changed(folder, lambda other: None) == plain
    for file in (first, last):
        source = folder / file.replace("0.png", "1.png").replace("5.png", "1.png")
        assert changed(folder, lambda other: shutil.copy(source, other / file)) != plain  # noqa: B023


def test_a_video_that_is_gone_is_said(tmp_path):
    dataset = tiny_dataset(tmp_path)
    dataset.path("one").unlink()
    with pytest.raises(TrovidError, match=r"one\.mp4"):
        digest(dataset)
