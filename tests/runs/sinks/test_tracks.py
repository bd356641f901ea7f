"""Files of tracks: what they hold, and that memory does not grow with the masks in them."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trovid.runs.sinks.mask_pictures import MaskPicturesSink
from trovid.runs.sinks.youtube_vis import YouTubeVisSink
from trovid.structures import Detections, Masks
from trovid.video.opening import Frame
from trovid.viz.identities import IdentityOverlay

NOTHING = np.empty((0, 0, 3), np.uint8)


def found(index: int, ids: list[int], scores: list[float], labels: list[int], size=(30, 40)):
    """Squares of 5 pixels, one beside the other."""
    dense = np.zeros((len(ids), *size), dtype=bool)
    for row in range(len(ids)):
        dense[row, 2:7, 6 * row + 1 : 6 * row + 6] = True
    return Detections(
        boxes=torch.zeros(len(ids), 4),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels, dtype=torch.long),
        class_names=("cat", "dog"),
        frame_index=index,
        image_size=size,
        track_ids=torch.tensor(ids, dtype=torch.long),
        masks=Masks.from_dense(dense),
    )


def write(sink, frames) -> Path:
    for detections in frames:
        sink.write(Frame(detections.frame_index, 0.0, NOTHING), detections)
    sink.finish(complete=True, problems=())
    sink.publish()
    return sink.path


def test_an_entry_a_track_with_mean_score_and_usual_class(tmp_path):
    frames = [
        found(0, [], [], []),
        found(1, [3, 0], [0.9, 0.5], [1, 0]),
        found(2, [0], [0.7], [1]),
        found(3, [], [], []),
        found(4, [0, 3], [0.6, 0.5], [1, 1]),
    ]
    tracks = json.loads(write(YouTubeVisSink(tmp_path / "a.json"), frames).read_text())
    assert [{k: v for k, v in t.items() if k != "segmentations"} for t in tracks] == [
        {"video_id": 1, "score": pytest.approx(0.6), "category_id": 2},
        {"video_id": 1, "score": pytest.approx(0.7), "category_id": 2},
    ]
    seen = [[code is not None for code in track["segmentations"]] for track in tracks]
    assert seen == [[False, True, True, False, True], [False, True, False, False, True]]
    assert tracks[1]["segmentations"][4] == frames[4].masks.to_coco()[1]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_no_track_at_all(tmp_path):
    path = write(YouTubeVisSink(tmp_path / "a.json"), [found(0, [], [], [])])
    assert json.loads(path.read_text()) == []


def test_identities_beyond_a_palette_are_named(tmp_path):
    sink = MaskPicturesSink(tmp_path / "a-masks")
    path = write(sink, [found(7, [2, 300], [0.9, 0.8], [0, 0])])
    assert [file.name for file in path.iterdir()] == ["00007.png"]
    assert sink.problems == [
        f"{path}: holds the first 254 identities, 1 more did not fit into a palette"
    ]


def test_a_frame_without_objects_has_a_picture_also_when_it_was_read_back(tmp_path):
    nothing = replace(found(0, [], [], []), masks=None, track_ids=None)
    path = write(MaskPicturesSink(tmp_path / "a-masks"), [nothing])
    picture = np.asarray(Image.open(path / "00000.png"))
    assert picture.shape == (30, 40)
    assert not picture.any()


def test_what_is_discarded_leaves_nothing(tmp_path):
    for sink in (YouTubeVisSink(tmp_path / "a.json"), MaskPicturesSink(tmp_path / "a-masks")):
        sink.write(Frame(0, 0.0, NOTHING), found(0, [0], [0.9], [0]))
        sink.discard()
    assert list(tmp_path.iterdir()) == []


def test_memory_is_that_of_the_frame_in_hand(tmp_path):
    """100 masks in each of 300 frames would be 8 MB of codes."""
    generator = np.random.default_rng(0)
    dense = np.zeros((100, 120, 160), dtype=bool)
    for mask in dense:
        mask[20:100, 30:130] = generator.random((80, 100)) > 0.97
    masks = Masks.from_dense(dense)
    assert sum(map(len, masks.counts)) * 300 > 8 * 2**20
    sink = YouTubeVisSink(tmp_path / "a.json")
    many = Detections(
        boxes=torch.zeros(100, 4),
        scores=torch.rand(100),
        labels=torch.zeros(100, dtype=torch.long),
        class_names=("cat",),
        image_size=(120, 160),
        track_ids=torch.arange(100),
        masks=masks,
    )
    tracemalloc.start()
    for index in range(300):
        sink.write(Frame(index, 0.0, NOTHING), many)
        if index == 60:
            before = tracemalloc.get_traced_memory()[0]
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    sink.discard()
    assert grown < 2 * 2**20


def test_labels_follow_slowly_and_places_are_forgotten():
    overlay, image = IdentityOverlay(), np.full((60, 160, 3), 128, np.uint8)
    detections = found(0, [1], [0.9], [0], size=(60, 160))
    for step in range(3):
        moved = torch.tensor([[100.0 * (step > 0), 40.0, 110.0, 50.0]])
        overlay.draw(image, Detections(**{**vars(detections), "boxes": moved}))
        x, y, _ = overlay._places[1]
        assert y == 40
        assert (0 < x < 60) == (step > 0)
    for _ in range(101):
        overlay.draw(image, detections[[]])
    assert overlay._places == {}
