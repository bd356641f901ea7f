"""Exported masks and embeddings against the model's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import trovid
from tests.cli.tiny_model import save_tiny_model
from tests.export.test_export import needs_newer_torch, packed, session
from tests.media import numbered
from trovid.export.export import export
from trovid.structures import DetectOptions
from trovid.video.opening import Frame

SUPPORT = [0, 3, 7]


@needs_newer_torch
@pytest.mark.parametrize(
    "name",
    ["synthvid-masktrack", pytest.param("synthvid-masktrack-troi", marks=pytest.mark.slow)],
)
def test_masks_and_embeddings_are_the_models(tmp_path, name):
    path = save_tiny_model(tmp_path / "tiny.safetensors", name=name)
    predictor = trovid.load(path, device="cpu")
    options = DetectOptions(score=0.02, max_detections=6)
    files = export(predictor, tmp_path, frame_size=(64, 96), options=options)
    frames = [Frame(i, 0.0, numbered(i)) for i in range(9)]
    detect = session(files[0])
    names = [output.name for output in detect.get_outputs()]
    assert names == ["boxes", "scores", "labels", "mask_probabilities", "embeddings"]
    uses_support = predictor.detector.uses_support
    bank = packed(session(files[1]), frames, SUPPORT) if uses_support else {}
    found = dict(zip(names, detect.run(None, {"frame": frames[5].image, **bank}), strict=True))
    chosen = predictor.options(options, masks=True, track="embedding")
    support = [predictor.encode([frames[i] for i in SUPPORT])] if uses_support else None
    with torch.inference_mode():
        images, size = predictor.input([frames[5]])
        (wanted,) = predictor.running.detect(images, support, options=chosen, image_sizes=[size])
    assert np.abs(found["boxes"] - wanted.detections.boxes.numpy()).max() < 1e-3
    probabilities, theirs = found["mask_probabilities"], wanted.probabilities.numpy()
    assert probabilities.shape == theirs.shape == (6, 28, 28)
    assert np.abs(probabilities - theirs).max() < 1e-3
    assert np.abs(found["embeddings"] - wanted.detections.embeddings.numpy()).max() < 1e-3
