"""Videos: reading, writing, damage, cameras, sound."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trovid.video.opening import Frame, VideoReader, VideoWriter, open_video
    from trovid.video.transforms import FrameTransform

__all__ = ["Frame", "FrameTransform", "VideoReader", "VideoWriter", "open_video"]


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use: SynthVID's worker processes do without torch."""
    if name not in __all__:
        raise AttributeError(f"module 'trovid.video' has no attribute {name!r}")
    home = "transforms" if name == "FrameTransform" else "opening"
    value = getattr(importlib.import_module(f"trovid.video.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
