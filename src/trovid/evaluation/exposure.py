"""How much of the objects that were to be covered stays visible, and what is covered besides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VISIBLE_SHARE = 0.05
"""Share of an object's mask above which it counts as visible."""


@dataclass(frozen=True)
class Exposure:
    """Sums over the frames of a video.

    Attributes:
        object_frames: Objects in all frames; those without a pixel do not count.
        visible: Of them, those of whose mask more than `VISIBLE_SHARE` is not covered.
        visible_pixels: Pixels of objects that are not covered.
        object_pixels: Pixels of objects.
        outside_pixels: Covered pixels that belong to no object.
        frame_pixels: Pixels of all frames.
    """

    object_frames: int = 0
    visible: int = 0
    visible_pixels: int = 0
    object_pixels: int = 0
    outside_pixels: int = 0
    frame_pixels: int = 0

    def __add__(self, other: Exposure) -> Exposure:
        return Exposure(*map(int.__add__, self.counts, other.counts))

    @property
    def counts(self) -> tuple[int, ...]:
        """The sums in the order of the attributes."""
        return (
            self.object_frames,
            self.visible,
            self.visible_pixels,
            self.object_pixels,
            self.outside_pixels,
            self.frame_pixels,
        )


def frame_exposure(masks: NDArray[np.bool_], covered: NDArray[np.bool_]) -> Exposure:
    """What of the objects of a frame is seen.

    Args:
        masks: Array[N, H, W] of bool, the objects.
        covered: Array[H, W] of bool, what is covered.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> masks = np.zeros((1, 4, 10), dtype=bool)
        >>> masks[0, :, :5] = True
        >>> covered = np.zeros((4, 10), dtype=bool)
        >>> covered[:, 1:7] = True
        >>> found = frame_exposure(masks, covered)
        >>> found.visible, found.visible_pixels, found.outside_pixels
        (1, 4, 8)
    """
    if masks.ndim != 3 or masks.shape[1:] != covered.shape:
        raise ValueError(
            f"`masks` must have shape [N, {covered.shape[0]}, {covered.shape[1]}], "
            f"but got {list(masks.shape)}"
        )
    areas = masks.sum((1, 2))
    there = areas > 0
    seen = (masks & ~covered).sum((1, 2))
    return Exposure(
        object_frames=int(there.sum()),
        visible=int((seen[there] > VISIBLE_SHARE * areas[there]).sum()),
        visible_pixels=int(seen.sum()),
        object_pixels=int(areas.sum()),
        outside_pixels=int((covered & ~masks.any(0)).sum()),
        frame_pixels=covered.size,
    )
