"""What trovid's parts hand to each other: validated dataclasses, no torch.nn."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trovid.structures.annotations import GroundTruth
    from trovid.structures.detect_options import DetectOptions
    from trovid.structures.detections import Detections
    from trovid.structures.masks import Masks
    from trovid.structures.support_sampling import SupportSampling
    from trovid.structures.tracks import Tracks
    from trovid.structures.training_batch import TrainingBatch
    from trovid.structures.video import Video
    from trovid.structures.video_detections import VideoDetections

__all__ = [
    "DetectOptions",
    "Detections",
    "GroundTruth",
    "Masks",
    "SupportSampling",
    "Tracks",
    "TrainingBatch",
    "Video",
    "VideoDetections",
]

_HOMES = {
    "DetectOptions": "detect_options",
    "Detections": "detections",
    "GroundTruth": "annotations",
    "Masks": "masks",
    "SupportSampling": "support_sampling",
    "Tracks": "tracks",
    "TrainingBatch": "training_batch",
    "Video": "video",
    "VideoDetections": "video_detections",
}


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use: a video is read without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'trovid.structures' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"trovid.structures.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
