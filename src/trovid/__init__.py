"""Temporal RoI Align for video object detection.

>>> import trovid
>>> model = trovid.load("synthvid-selsa-troi")  # doctest: +SKIP
>>> for detections in model.detect("clip.mp4"):  # doctest: +SKIP
...     print(detections.time, detections.boxes)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trovid import nn, ops
    from trovid.errors import TrovidError
    from trovid.inference.loading import load
    from trovid.inference.predictor import Predictor
    from trovid.structures import Detections, GroundTruth, Video

__version__ = "0.1.0"

__all__ = [
    "Detections",
    "GroundTruth",
    "Predictor",
    "TrovidError",
    "Video",
    "load",
    "nn",
    "ops",
]

_HOMES = {
    "Detections": "trovid.structures",
    "GroundTruth": "trovid.structures",
    "Predictor": "trovid.inference.predictor",
    "TrovidError": "trovid.errors",
    "Video": "trovid.structures",
    "load": "trovid.inference.loading",
}


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use, so that `import trovid` does not import torch."""
    if name in ("nn", "ops"):
        return importlib.import_module(f"trovid.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'trovid' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
