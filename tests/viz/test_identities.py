"""Masks in the colour of their identity, pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tests.inference.blobs import Blobs
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
