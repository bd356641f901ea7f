"""COCO results: their ids are those that the reader of the labels has kept."""

from __future__ import annotations

import json

import pytest
import torch

from tests.datasets.coco_folder import coco_folder
from tests.datasets.labelled_folder import labelled_folder
from trovid.datasets.coco_results import detections_from_coco, read_coco_results
from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError
from trovid.structures import Detections, Masks

NAMES = ("cup", "star", "sun")


def test_results_lie_in_the_frames_of_their_images(tmp_path):
    folder = coco_folder(tmp_path / "data", every=2)
    labels = folder / "labels.json"
    document = json.loads(labels.read_text())
    last = document["annotations"][-1]
    row = {key: last[key] for key in ("image_id", "category_id", "bbox")}
    file = tmp_path / "results.json"
    file.write_text(json.dumps([{**row, "score": 0.5}, {**row, "score": 0.75}]))
    truth = read_dataset(labels)
    found = read_coco_results(file, labels)
    assert list(found) == [video.name for video in truth.videos]
    ids = {image: (number, frame) for image, number, frame in truth.ids.frames.tolist()}
    number, frame = ids[last["image_id"]]
    for index, video in enumerate(truth.videos):
        detections, expected = found[video.name], [0] * video.num_frames
        if index == number:
            expected[frame] = 2
            assert detections.scores.tolist() == [0.5, 0.75]
        assert detections.frame_indices.tolist() == [*range(video.num_frames)]
        assert detections.counts.tolist() == expected


def test_labels_without_ids_are_refused(tmp_path):
    (tmp_path / "results.json").write_text("[]")
    folder = labelled_folder(tmp_path / "own", ("street",))
    with pytest.raises(TrovidError, match="needs COCO labels, whose images and categories have"):
        read_coco_results(tmp_path / "results.json", folder / "labels.json")


def test_results_of_a_frame_and_back():
    pixels = torch.zeros(3, 30, 40, dtype=torch.bool)
    for mask, side in zip(pixels, (20, 9, 4), strict=True):
        mask[:side, :side] = True
    frame = {"frame_index": 7, "time": 0.28}
    before = Detections(
        boxes=torch.tensor([[0.0, 0, 10, 20], [5, 5, 9, 9], [1, 2, 3, 4]]),
        scores=torch.tensor([0.9, 0.5, 0.25]),
        labels=torch.tensor([2, 0, 1]),
        class_names=NAMES,
        track_ids=torch.tensor([4, 5, 6]),
        masks=Masks.from_dense(pixels),
        **frame,
    )
    rows = before.to_coco()
    found = detections_from_coco(rows, NAMES, **frame)
    for name in ("boxes", "scores", "labels", "track_ids"):
        torch.testing.assert_close(getattr(found, name), getattr(before, name))
    assert found.masks == before.masks
    assert (found.class_names, found.frame_index, found.time) == (NAMES, 7, 0.28)
    assert len(detections_from_coco([], NAMES)) == 0
    rows[2]["segmentation"] = {"size": [30, 40], "counts": "R1"}
    with pytest.raises(ValueError, match="mask 2 covers 34 pixels"):
        detections_from_coco(rows, NAMES)
    with pytest.raises(ValueError, match=r"results\[1\] has no `score`"):
        detections_from_coco([rows[0], {"category_id": 1, "bbox": [0, 0, 1, 1]}], NAMES)


def test_a_polygon_needs_the_size_of_the_image():
    triangle = [[0, 0, 3, 0, 3, 3]]
    row = {"category_id": 1, "bbox": [0, 0, 3, 3], "score": 0.5, "segmentation": triangle}
    with pytest.raises(ValueError, match="`image_size` must be given"):
        detections_from_coco([row], NAMES)
    found = detections_from_coco([row], NAMES, image_size=(5, 7))
    assert found.masks.size == (5, 7)
