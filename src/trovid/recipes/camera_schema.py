"""What a recipe holds of clips that are made from pictures (see `schema.py`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CameraRecipe:
    """A camera over a picture (a video of one frame), which becomes a clip; none by default.

    Attributes:
        height: of the frames, in pixels
        width: of the frames, in pixels
        zoom: smallest and largest scale of the resized picture, alike in the clip
        motion: how far a frame lies from the clip's place, as a share of its sides
        zoom_motion: how much nearer or farther a frame may be
        rotation: degrees by which a frame may be turned
        pasted: probability that an object of another picture moves through the clip
        damage: probability that a frame is deteriorated, each by itself
    """

    height: int
    width: int
    zoom: tuple[float, float]
    motion: float = 0.0
    zoom_motion: float = 0.0
    rotation: float = 0.0
    pasted: float = 0.0
    damage: float = 0.0
