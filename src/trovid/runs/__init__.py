"""Many videos: jobs, resuming, results."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trovid.runs.video_detector import VideoDetector

__all__ = ["VideoDetector"]


def __getattr__(name: str) -> Any:
    """Imports what is public when it is asked for."""
    if name == "VideoDetector":
        from trovid.runs.video_detector import VideoDetector

        return VideoDetector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
