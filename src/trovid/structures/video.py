"""A video's name and measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Video:
    """A video's name and measures.

    Attributes:
        name: Unique within a data set; the file's stem by default.
        num_frames: Number of frames that decode.
        height: Height of a frame in pixels.
        width: Width of a frame in pixels.
        frame_rate: Mean frames per second (0 where unknown, as for a folder of images).
    """

    name: str
    num_frames: int
    height: int
    width: int
    frame_rate: float = 0.0

    def __post_init__(self) -> None:
        if min(self.num_frames, self.height, self.width) < 0 or self.frame_rate < 0:
            raise ValueError(f"a video's measures must not be negative, but got {self}")
