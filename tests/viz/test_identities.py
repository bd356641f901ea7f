"""Masks in the colour of their identity, pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.inference.blobs import Blobs
from trovid.structures import Detections
from trovid.viz.canvas import LabelStyle
from trovid.viz.identities import OPACITY, IdentityOverlay, identity_colour


def test_surer_masks_lie_on_top_under_a_veil_with_a_full_edge():
    size, count = (330, 500), 12
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    found = Blobs(count, ("cat",)).found(size).scaled(size)
    found = replace(found, track_ids=torch.arange(count) + 3, embeddings=None)
    expected = image.copy()
    for row in reversed(range(count)):
        mask, colour = found.masks.dense(row)[0].numpy(), np.array(identity_colour(row + 3))
        veiled = expected[mask] * (1 - OPACITY) + colour * OPACITY
        expected[mask] = veiled.astype(np.uint8)
        wide = np.pad(mask, 1)
        inner = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
        expected[mask & ~inner] = colour
    picture = IdentityOverlay(LabelStyle(shown=False)).draw(image, found)
    assert np.array_equal(picture, expected)


def label_places(lefts, others=None) -> np.ndarray:
    """Left upper corners, frame after frame, of the label of a box that is so far left."""
    ground = np.zeros((360, 640, 3), dtype=np.uint8)
    colour = np.array(identity_colour(0))
    labelled, bare = IdentityOverlay(), IdentityOverlay(LabelStyle(shown=False))
    places = []
    for number, left in enumerate(lefts):
        boxes = [[left, 100, left + 200, 250]]
        if others is not None:
            boxes.append([others[number], 60, others[number] + 180, 240])
        found = Detections(
            boxes=torch.tensor(boxes, dtype=torch.float32),
            scores=torch.linspace(0.9, 0.8, len(boxes)),
            labels=torch.zeros(len(boxes), dtype=torch.int64),
            class_names=("cat",),
            image_size=ground.shape[:2],
            track_ids=torch.arange(len(boxes)),
        )
        with_label, without = labelled.draw(ground, found), bare.draw(ground, found)
        pixels = (with_label == colour).all(-1) & (with_label != without).any(-1)
        rows, columns = np.nonzero(pixels)
        places.append((columns.min(), rows.min()))
    return np.array(places)


@pytest.mark.parametrize(
    ("lefts", "most"),
    [
        ([100] * 3 + [300] * 15, 0.35 * 200),
        ([200, 240] * 8, 0.35 * 40),
        (list(range(100, 200, 5)), 5),
    ],
    ids=["a jump", "trembling", "a walk"],
)
def test_labels_follow_boxes_slowly(lefts, most):
    """Its largest step is FOLLOWING of what the box is away, and a pixel of rounding."""
    places = label_places(lefts)
    steps = np.abs(np.diff(places, axis=0))
    assert 0 < steps[:, 0].max() <= most + 1
    assert steps[:, 1].max() == 0
    assert abs(places[-1, 0] - lefts[-1]) <= 40


def test_a_label_stays_whoever_passes():
    places = label_places([200] * 12, others=list(range(20, 440, 35)))
    assert (places == places[0]).all()
