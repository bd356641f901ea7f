"""Videos, labels, support frames and clips."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trovid.data.coco_vid import VideoLabels
    from trovid.data.sampling import SupportSampling
    from trovid.data.transforms import FrameTransform
    from trovid.data.video_io import Frame, VideoReader, VideoWriter, open_video

__all__ = [
    "Frame",
    "FrameTransform",
    "SupportSampling",
    "VideoLabels",
    "VideoReader",
    "VideoWriter",
    "open_video",
]

_HOMES = {
    "Frame": "video_io",
    "FrameTransform": "transforms",
    "SupportSampling": "sampling",
    "VideoLabels": "coco_vid",
    "VideoReader": "video_io",
    "VideoWriter": "video_io",
    "open_video": "video_io",
}


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use: SynthVID's worker processes do without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'trovid.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"trovid.data.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
