"""Pictures with objects covered, so that little or nothing of them is left in the pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt

from trovid.redaction.options import By, Fill
from trovid.structures import Masks

MOST_CELLS, SMALLEST_CELL = 8, 8
"""Mean colours that are left along an object's longer side at most, and pixels of one at least."""
LEAST_MARGIN = 2
"""Pixels beyond a box or mask that are covered in any case."""


@dataclass(frozen=True, eq=False)
class Region:
    """Pixels of a frame to be covered.

    Attributes:
        left: First column.
        top: First row.
        pixels: Array[h, w] of bool from there on.
    """

    left: int
    top: int
    pixels: NDArray[np.bool_]

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the frame that it lies in."""
        height, width = self.pixels.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def regions(
    boxes: Iterable[Sequence[float]],
    *,
    size: tuple[int, int],
    by: By = "box",
    margin: float = 0.0,
    masks: Masks | None = None,
) -> Iterator[Region]:
    """What is to be covered of each object; nothing of those outside the frame.

    Args:
        boxes: x1 y1 x2 y2 in pixels.
        size: Height and width of the frame.
        by: The form; "mask" where there is a mask that is not empty, else the box.
        margin: Share of a box's sides that is covered beyond it, and beyond a mask.
        masks: One for each box.
    """
    for number, box in enumerate(boxes):
        if not all(map(math.isfinite, box)):
            yield Region(0, 0, np.ones(size, dtype=np.bool_))
            continue
        region = None
        if by == "mask" and masks is not None:
            region = _around_mask(masks, number, _reach(box, margin))
        if region is None:
            region = _within(_grown(box, margin), size, ellipse=by == "ellipse")
        if region.pixels.any():
            yield region


def cover(image: NDArray[np.uint8], covered: Iterable[Region], fill: Fill) -> NDArray[np.uint8]:
    """A copy of a picture with its regions covered.

    "blur" and "pixelate" keep the mean colours of at most 8 x 8 cells of a region's window, none
    smaller than 8 x 8 pixels, and throw the rest away; so no sharpening brings it back.

    Args:
        image: uint8 [H, W, 3].
        covered: The regions.
        fill: With what.

    Example:
        >>> image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
        >>> one = Region(1, 1, np.ones((2, 2), dtype=bool))
        >>> [cover(image, [one], fill)[1, 1].tolist() for fill in ("solid", "pixelate")]
        [[0, 0, 0], [23, 24, 25]]
    """
    changed = image.copy()
    for region in covered:
        place = changed[region.window]
        if fill == "solid":
            place[region.pixels] = 0
        else:
            coarse = _coarse(image[region.window], smooth=fill == "blur")
            place[region.pixels] = coarse[region.pixels]
    return changed


def coverage(covered: Iterable[Region], size: tuple[int, int]) -> NDArray[np.bool_]:
    """All covered pixels of a frame, bool [H, W]."""
    pixels = np.zeros(size, dtype=np.bool_)
    for region in covered:
        pixels[region.window] |= region.pixels
    return pixels


def _coarse(window: NDArray[np.uint8], *, smooth: bool) -> NDArray[np.uint8]:
    height, width = window.shape[:2]
    cell = max(math.ceil(max(height, width) / MOST_CELLS), SMALLEST_CELL)
    cells = max(1, width // cell), max(1, height // cell)
    picture = Image.fromarray(window).resize(cells, Image.Resampling.BOX)
    way = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(picture.resize((width, height), way))


def _reach(box: Sequence[float], margin: float) -> float:
    """Pixels that are covered beyond a mask."""
    return max(margin * min(box[2] - box[0], box[3] - box[1]), LEAST_MARGIN)


def _grown(box: Sequence[float], margin: float) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    right = max(margin * (x2 - x1), LEAST_MARGIN)
    down = max(margin * (y2 - y1), LEAST_MARGIN)
    return x1 - right, y1 - down, x2 + right, y2 + down


def _within(
    box: tuple[float, float, float, float], size: tuple[int, int], *, ellipse: bool
) -> Region:
    """The part of a box, or of the ellipse in it, that lies in the frame."""
    height, width = size
    x1, y1, x2, y2 = box
    left, right = (
        min(max(round_(x), 0), width) for x, round_ in ((x1, math.floor), (x2, math.ceil))
    )
    top, bottom = (
        min(max(round_(y), 0), height) for y, round_ in ((y1, math.floor), (y2, math.ceil))
    )
    pixels = np.ones((max(bottom - top, 0), max(right - left, 0)), dtype=np.bool_)
    if ellipse and pixels.size:
        across = (np.arange(left, right) + 0.5 - (x1 + x2) / 2) / ((x2 - x1) / 2)
        down = (np.arange(top, bottom) + 0.5 - (y1 + y2) / 2) / ((y2 - y1) / 2)
        pixels = down[:, None] ** 2 + across**2 <= 1
    return Region(left, top, pixels)


def _around_mask(masks: Masks, number: int, reach: float) -> Region | None:
    """A mask with all that lies at most so many pixels from it; None where it is empty."""
    (left, top), pixels = masks.window(number)
    if not pixels.size:
        return None
    height, width = masks.size
    rim = math.ceil(reach)
    before = min(rim, top), min(rim, left)
    after = min(rim, height - top - pixels.shape[0]), min(rim, width - left - pixels.shape[1])
    wide = np.pad(pixels, tuple(zip(before, after, strict=True)))
    return Region(left - before[1], top - before[0], distance_transform_edt(~wide) <= reach)
