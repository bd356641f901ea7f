"""The pictograms: polygons read from glyphs.json, and their two rasterisations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

SUBPIXEL = 256
_SCANLINES = 4


@dataclass(frozen=True, eq=False)
class Glyph:
    """A pictogram and the outline of the sticker that it is printed on.

    Both are lists of closed polygons, int64 [P, 2], x and y (downwards) in 1/grid of the sticker's
    longer side, centred on the sticker's box. Overlaps add up by the nonzero rule.
    """

    name: str
    glyph: tuple[np.ndarray, ...]
    silhouette: tuple[np.ndarray, ...]
    grid: int


@cache
def glyphs() -> tuple[Glyph, ...]:
    """All pictograms in alphabetical order; their position + 1 is the category id."""
    text = (
        resources.files("trovid.datasets.synthvid")
        .joinpath("glyphs.json")
        .read_text(encoding="utf-8")
    )
    document = json.loads(text)

    def polygons(flat: list[list[int]]) -> tuple[np.ndarray, ...]:
        return tuple(np.array(points, dtype=np.int64).reshape(-1, 2) for points in flat)

    return tuple(
        Glyph(name, polygons(entry["glyph"]), polygons(entry["silhouette"]), document["grid"])
        for name, entry in sorted(document["glyphs"].items())
    )


def class_names() -> tuple[str, ...]:
    """Names of the classes in the order of their category ids."""
    return tuple(glyph.name for glyph in glyphs())


def place(
    polygons: tuple[np.ndarray, ...], matrix: np.ndarray, centre: tuple[float, float]
) -> tuple[np.ndarray, ...]:
    """Polygons under an affine map, int64 [P, 2] in 1/SUBPIXEL pixel.

    Rounding to this grid is what makes labels the same on every machine: what comes after it is
    integer arithmetic.
    """
    shift = np.array(centre)
    return tuple(np.rint((p @ matrix.T + shift) * SUBPIXEL).astype(np.int64) for p in polygons)


def _edges(polygons: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Upper ends, lower ends and directions (+1 down, -1 up) of all edges that are not level."""
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(p, -1, axis=0) for p in polygons])
    rising = end[:, 1] < start[:, 1]
    upper = np.where(rising[:, None], end, start)
    lower = np.where(rising[:, None], start, end)
    keep = upper[:, 1] < lower[:, 1]
    return upper[keep], lower[keep], np.where(rising, -1, 1)[keep]


def _crossings(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the edge and of the row for every row in first..last (excluded) of every edge."""
    count = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(count)), count)
    offset = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    return edge, first[edge] + offset


def mask(polygons: tuple[np.ndarray, ...]) -> tuple[np.ndarray, int, int]:
    """Pixels whose centre lies inside, by integers alone.

    Args:
        polygons: int64 [P, 2] in 1/SUBPIXEL pixel, as `place` returns them.

    Returns:
        bool [h, w], and the pixel column and row of its upper left corner.
    """
    points = np.concatenate(polygons)
    left, top = (points.min(axis=0) // SUBPIXEL).tolist()
    right, bottom = (points.max(axis=0) // SUBPIXEL + 1).tolist()
    width, height = right - left, bottom - top
    upper, lower, direction = _edges(polygons)
    half = SUBPIXEL // 2
    first = -((half - upper[:, 1]) // SUBPIXEL)
    last = -((half - lower[:, 1]) // SUBPIXEL)
    edge, row = _crossings(first, last)
    run = (lower - upper)[edge]
    depth = row * SUBPIXEL + half - upper[edge, 1]
    numerator = (upper[edge, 0] - half) * run[:, 1] + depth * run[:, 0]
    column = -((-numerator) // (SUBPIXEL * run[:, 1]))
    winding = np.zeros((height, width + 1), dtype=np.int64)
    np.add.at(winding, (row - top, np.clip(column - left, 0, width)), direction[edge])
    return np.cumsum(winding, axis=1)[:, :width] != 0, left, top


def coverage(
    polygons: tuple[np.ndarray, ...], left: float, top: float, shape: tuple[int, int], step: float
) -> np.ndarray:
    """Share of each cell of a window that lies inside: the antialiased picture.

    Args:
        polygons: [P, 2] in 1/SUBPIXEL pixel.
        left: Left edge of the window in pixels.
        top: Upper edge of the window in pixels.
        shape: Rows and columns of cells.
        step: Side of a cell in pixels.

    Returns:
        float32 [rows, columns] in 0..1.
    """
    rows, columns = shape
    upper, lower, direction = _edges(polygons)
    origin = np.array([left, top])
    upper, lower = ((ends / SUBPIXEL - origin) / step for ends in (upper, lower))
    first, last = (
        np.clip(np.ceil(ends[:, 1] * _SCANLINES - 0.5), 0, rows * _SCANLINES).astype(np.int64)
        for ends in (upper, lower)
    )
    edge, line = _crossings(first, last)
    slope = ((lower[:, 0] - upper[:, 0]) / (lower[:, 1] - upper[:, 1]))[edge]
    x = upper[edge, 0] + ((line + 0.5) / _SCANLINES - upper[edge, 1]) * slope
    x = np.clip(x, 0, columns)
    column = np.floor(x).astype(np.int64)
    part = x - column
    sign = direction[edge] / _SCANLINES
    cell = line // _SCANLINES * (columns + 2) + column
    length = rows * (columns + 2)
    area = np.bincount(cell, sign * (1 - part), length)
    area += np.bincount(cell + 1, sign * part, length)
    filled = np.cumsum(area.reshape(rows, columns + 2), axis=1)[:, :columns]
    return np.minimum(np.abs(filled), 1).astype(np.float32)
