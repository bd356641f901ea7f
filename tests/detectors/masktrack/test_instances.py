"""Maps on boxes as masks of a frame: each pixel is what the whole frame's interpolation says."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from pycocotools import mask as oracle

from tests.inference.blobs import Blobs
from trovid.detectors.masktrack.instances import Instances, pasted
from trovid.runs.sinks.json import detection_rows
from trovid.viz.identities import IdentityOverlay


def weights(count: int, start: float, end: float) -> np.ndarray:
    """Of 28 cells for each of so many pixels, by their distance."""
    places = (np.arange(count) + 0.5 - start) / (end - start) * 28 - 0.5
    return np.maximum(1 - abs(places[:, None] - np.arange(28)), 0)


@pytest.mark.parametrize("noise", [False, True], ids=["blobs", "noise"])
def test_masks_are_those_of_the_whole_frame(noise):
    height, width = size = (135, 240)
    found = Blobs(12, ("cat",)).found(size)
    boxes, maps = found.detections.boxes - 7, found.probabilities
    if noise:
        maps = torch.rand(maps.shape, generator=torch.Generator().manual_seed(0))
    masks = pasted(maps, boxes, size)
    for code, probabilities, box in zip(masks.counts, maps.numpy(), boxes.tolist(), strict=True):
        rows, columns = weights(height, box[1], box[3]), weights(width, box[0], box[2])
        whole = rows @ probabilities @ columns.T
        drawn = oracle.decode({"size": [*size], "counts": code}) == 1
        clear = abs(whole - 0.5) > 1e-5
        assert (drawn == (whole >= 0.5))[clear].all()
        assert clear.mean() > 0.99
        assert code == oracle.encode(np.asfortranarray(drawn, dtype=np.uint8))["counts"]


def test_no_frame_of_all_masks_is_made():
    """All that is done with masks takes less than half of what their pixels would."""
    size, count = (540, 960), 60
    blobs, overlay = Blobs(count, ("cat",)), IdentityOverlay()
    image = np.zeros((*size, 3), np.uint8)
    instances = blobs.found(size)
    overlay.draw(image, instances.scaled(size))
    tracemalloc.start()
    found = Instances(instances.detections, instances.probabilities).scaled(size)
    overlay.draw(image, found)
    detection_rows(found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < count * size[0] * size[1] / 2
