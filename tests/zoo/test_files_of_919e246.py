"""Weights written at commit 919e246 are read, and find what they found there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

import trovid

FOLDER = Path(__file__).parent / "written_at_919e246"


def frames() -> np.ndarray:
    """uint8 [8, 64, 96, 3]: a red plate before stripes that move."""
    t, y, x, c = np.ogrid[:8, :64, :96, :3]
    pictures = ((x * (c + 2) + t * 9) * (y + 3 * t) // 16 % 256).astype(np.uint8)
    pictures[:, 20:44, 10:40] = [200, 30, 60]
    return pictures


def test_old_weights_find_what_they_found():
    model = trovid.load(FOLDER / "tiny.safetensors", device="cpu")
    assert model.recipe.name == "tiny"
    assert model.recipe.model.rpn.lowest_iou == 0.2
    assert model.card.provenance == {"seed": 3}
    stored = json.loads((FOLDER / "tiny.json").read_text())
    options = {"score": 0.0, "nms": 0.3, "max_detections": 8, "frames": [0, 4, 7]}
    found = list(model.detect(frames(), **options))
    assert len(found) == len(stored) == 3
    for detections, wanted in zip(found, stored, strict=True):
        assert detections.labels.tolist() == wanted["labels"]
        boxes, scores = torch.tensor(wanted["boxes"]), torch.tensor(wanted["scores"])
        torch.testing.assert_close(detections.boxes, boxes, rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(detections.scores, scores, rtol=0, atol=1e-5)
