"""COCO results: their ids are those that the reader of the labels has kept."""

from __future__ import annotations

import json

import pytest

from tests.datasets.coco_folder import coco_folder
from tests.datasets.own_folder import own_folder
from trovid.datasets.coco_results import read_coco_results
from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError


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
        own, expected = found[video.name], [0] * video.num_frames
        if index == number:
            expected[frame] = 2
            assert own.scores.tolist() == [0.5, 0.75]
        assert own.frame_indices.tolist() == [*range(video.num_frames)]
        assert own.counts.tolist() == expected


def test_labels_without_ids_are_refused(tmp_path):
    (tmp_path / "results.json").write_text("[]")
    folder = own_folder(tmp_path / "own", ("street",))
    with pytest.raises(TrovidError, match="needs COCO labels, whose images and categories have"):
        read_coco_results(tmp_path / "results.json", folder / "labels.json")
