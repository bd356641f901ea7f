"""The form in which a detector goes through the steps of a training."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch

from trovid.detectors.contract import VideoDetector
from trovid.inference.runtime.compilation import check_compile
from trovid.recipes import TrainingRecipe
from trovid.training.checkpointing import checkpoint_backbone


@contextmanager
def training_form(detector: VideoDetector, settings: TrainingRecipe) -> Generator[None]:
    """While it lasts, the detector's dense parts are what the recipe wants them to be.

    `training.compile` has them made by torch.compile, once for all sizes of frames, so that the
    result does not depend on the sizes that came first; `training.checkpointing` has the backbone's
    activations computed again (`checkpoint_backbone`). Weights and names stay as they are.

    Args:
        detector: Changed in place, and as before in the end.
        settings: Say which.

    Raises:
        TrovidError: If torch.compile does not work here, or the backbone's BatchNorm takes
            statistics of the batch and `training.checkpointing` is wanted.
    """
    if settings.compile:
        check_compile(next(detector.parameters()).device)
        for part in detector.dense_parts:
            vars(part)["forward"] = torch.compile(part.forward, dynamic=True)
    if settings.checkpointing:
        checkpoint_backbone(detector.backbone)
    try:
        yield
    finally:
        for part in (detector.backbone, *detector.dense_parts):
            vars(part).pop("forward", None)  # the class's own again


@contextmanager
def plain_form(detector: VideoDetector) -> Generator[None]:
    """While it lasts, `training_form` is not there."""
    parts = (detector.backbone, *detector.dense_parts)
    kept = [vars(part).pop("forward", None) for part in parts]
    try:
        yield
    finally:
        for part, forward in zip(parts, kept, strict=True):
            if forward is not None:
                vars(part)["forward"] = forward
