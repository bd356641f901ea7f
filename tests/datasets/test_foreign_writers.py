"""Readers on what other programs wrote (foreign/README.md)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.media import encode
from trovid.datasets.check import check_data
from trovid.datasets.reading import format_of, read_dataset, read_split, splits_of
from trovid.errors import TrovidError

FOREIGN = Path(__file__).parent / "foreign"
CAR, DOG = [(10 + 4 * frame, 20, 40 + 4 * frame, 40) for frame in range(3)], (50, 5, 90, 55)
BOXES = [[CAR[0], DOG], [CAR[1]], [CAR[2], DOG]]


def boxes_of(dataset) -> list[list[tuple[float, ...]]]:
    """Of every labelled frame, in order."""
    return [
        [tuple(box) for box in truth.boxes.tolist()]
        for video in dataset.videos
        for truth in dataset.ground_truth(video.name)
    ]


@pytest.mark.parametrize(
    ("form", "name", "shift"), [("coco", "JSON", 0), ("voc", "Pascal VOC", 1), ("yolo", "YOLO", 0)]
)
def test_pictures_of_datumaro(form, name, shift):
    """datumaro writes VOC's pixels as it has them, where VOC counts from 1."""
    path = FOREIGN / form
    assert format_of(path).name == name
    assert splits_of(path) == ("train", "val")
    train, val = (read_split(path, split) for split in ("train", "val"))
    assert train.class_names == val.class_names == ("car", "dog")
    assert [len(dataset.videos) for dataset in (train, val)] == [3, 2]
    expected = [[(x - shift, y - shift, *rest) for x, y, *rest in frame] for frame in BOXES]
    for found, wanted in zip(boxes_of(train), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert val.objects.labels.tolist() == [1, 1]
    for dataset in (train, val):
        for video in dataset.videos:
            assert dataset.open(video.name).video.num_frames == 1
    assert check_data(path).errors == []


def test_a_sequence_of_datumaro_has_its_own_classes():
    dataset = read_dataset(FOREIGN / "mot", split=None)
    assert dataset.class_names == ("car", "dog")
    assert boxes_of(dataset) == [[tuple(map(float, box)) for box in frame] for frame in BOXES]
    assert dataset.objects.labels.tolist() == [0, 1, 0, 0, 1]
    assert dataset.objects.instance_ids.tolist() == [1, 2, 1, 1, 2]


def test_a_class_that_a_sequence_does_not_name(tmp_path):
    folder = shutil.copytree(FOREIGN / "mot/street", tmp_path / "street")
    (folder / "gt/labels.txt").write_text("car\n")
    with pytest.raises(TrovidError, match=r"gt\.txt:2: class must lie in 1\.\.1, but is 2"):
        read_dataset(folder, split=None)


def test_one_file_of_coco_as_cvat_exports_it(tmp_path):
    folder = shutil.copytree(FOREIGN / "coco", tmp_path / "export")
    (folder / "annotations/instances_val.json").unlink()
    file = folder / "annotations/instances_train.json"
    file.rename(folder / "annotations/instances_default.json")
    (folder / "images/train").rename(folder / "images/default")
    assert splits_of(folder) == ()
    dataset = read_split(folder, None)
    assert len(dataset.videos) == 3
    assert dataset.open("000001.jpg").video.num_frames == 1


def test_boxes_between_key_frames_are_label_studios(tmp_path):
    encode(tmp_path / "street.mp4", num_frames=8)
    shutil.copy(FOREIGN / "label_studio/labels.json", tmp_path)
    dataset = read_dataset(tmp_path, split=None)
    theirs = json.loads((FOREIGN / "label_studio/frames.json").read_text())
    video, found = dataset.video("street.mp4"), dataset.objects
    for number, (label, frames) in enumerate([("Car", theirs["a"]), ("Dog", theirs["b"])]):
        assert dataset.class_names[number] == label
        of_class = found.labels == number
        assert found.frames[of_class].tolist() == [frame - 1 for frame, *_ in frames]
        scale = np.array([video.width, video.height] * 2) / 100
        boxes = np.array([(x, y, x + w, y + h) for _, _, x, y, w, h in frames]) * scale
        np.testing.assert_allclose(found.boxes[of_class], boxes, atol=1e-4)
