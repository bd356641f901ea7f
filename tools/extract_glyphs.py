"""Writes src/trovid/datasets/synthvid/glyphs.json: the pictograms of SynthVID as polygons.

Ran once, with matplotlib 3.11 and the DejaVu Sans that it brings; kept to show where the outlines
come from. Another version of font or library may give other polygons, so SynthVID reads the file.

    python tools/extract_glyphs.py
"""

from __future__ import annotations

import json
from pathlib import Path

import contourpy
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath
from scipy import ndimage

CODE_POINTS = {
    "aeroplane": 0x2708,
    "anchor": 0x2693,
    "club": 0x2663,
    "cup": 0x2615,
    "envelope": 0x2709,
    "flag": 0x2691,
    "gear": 0x2699,
    "heart": 0x2665,
    "knight": 0x265E,
    "note": 0x266B,
    "pencil": 0x270F,
    "recycling": 0x267B,
    "rook": 0x265C,
    "scissors": 0x2702,
    "skull": 0x2620,
    "snowflake": 0x2744,
    "star": 0x2605,
    "sun": 0x2600,
    "telephone": 0x260E,
    "umbrella": 0x2602,
}
GRID = 4096
MARGIN = 0.09
RASTER = 768


def glyph_polygons(code_point: int) -> list[np.ndarray]:
    """Closed contours of a glyph, y downwards, float [P, 2], centred, longest side 1."""
    path = TextPath((0, 0), chr(code_point), size=100, prop=FontProperties(family="DejaVu Sans"))
    polygons = [
        p[:-1] if (p[0] == p[-1]).all() else p
        for p in Outline(path.vertices, path.codes).to_polygons(closed_only=True)
    ]
    points = np.concatenate(polygons) * [1, -1]
    low, high = points.min(axis=0), points.max(axis=0)
    return [(p * [1, -1] - (low + high) / 2) / (high - low).max() for p in polygons]


def silhouette(polygons: list[np.ndarray]) -> list[np.ndarray]:
    """The glyph with all holes filled, dilated by MARGIN, as simple polygons."""
    extent = 0.5 + 2 * MARGIN
    centres = (np.arange(RASTER) + 0.5) / RASTER * 2 * extent - extent
    grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
    winding = np.zeros(len(grid), dtype=int)
    for polygon in polygons:
        ends = np.roll(polygon, -1, axis=0)
        for (x0, y0), (x1, y1) in zip(polygon, ends, strict=True):
            if y0 == y1:
                continue
            rows = (min(y0, y1) <= grid[:, 1]) & (grid[:, 1] < max(y0, y1))
            crossing = x0 + (grid[:, 1] - y0) * (x1 - x0) / (y1 - y0)
            winding += np.where(
                rows & (grid[:, 0] > crossing), np.sign(int(y1 > y0) - 0.5), 0
            ).astype(int)
    inside = ndimage.binary_fill_holes((winding != 0).reshape(RASTER, RASTER))
    distance = ndimage.distance_transform_edt(~inside) * (2 * extent / RASTER)
    filled = ndimage.binary_fill_holes(distance <= MARGIN)
    level = np.where(
        filled, np.minimum(distance, MARGIN - 1e-3), np.maximum(distance, MARGIN + 1e-3)
    )
    level = ndimage.gaussian_filter(level, 2)
    lines = contourpy.contour_generator(centres, centres, level).lines(MARGIN)
    return [simplify(line[:-1], 0.002) for line in lines if len(line) > 40]


def simplify(polygon: np.ndarray, tolerance: float) -> np.ndarray:
    """Douglas and Peucker's simplification of a closed polygon."""
    opposite = int(np.linalg.norm(polygon - polygon[0], axis=1).argmax())
    halves = polygon[: opposite + 1], np.concatenate([polygon[opposite:], polygon[:1]])
    return np.concatenate([_simplify_line(half, tolerance)[:-1] for half in halves])


def _simplify_line(line: np.ndarray, tolerance: float) -> np.ndarray:
    if len(line) < 3:
        return line
    direction = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
    offset = line - line[0]
    distance = np.abs(offset[:, 0] * direction[1] - offset[:, 1] * direction[0])
    worst = int(distance.argmax())
    if distance[worst] <= tolerance:
        return line[[0, -1]]
    left = _simplify_line(line[: worst + 1], tolerance)
    return np.concatenate([left[:-1], _simplify_line(line[worst:], tolerance)])


def main() -> None:
    glyphs = {}
    for name, code_point in CODE_POINTS.items():
        polygons = [simplify(p, 0.001) for p in glyph_polygons(code_point)]
        outlines = silhouette(polygons)
        points = np.concatenate(outlines)
        low, high = points.min(axis=0), points.max(axis=0)
        scale = GRID / (high - low).max()
        entry = {}
        for key, parts in (("glyph", polygons), ("silhouette", outlines)):
            rounded = [np.rint((p - (low + high) / 2) * scale).astype(int) for p in parts]
            entry[key] = [p.reshape(-1).tolist() for p in rounded if len(p) > 2]
        glyphs[name] = {"code_point": f"U+{code_point:04X}", **entry}
    document = {
        "source": "DejaVu Sans 2.37, https://dejavu-fonts.github.io, see LICENSE_DEJAVU",
        "grid": GRID,
        "glyphs": glyphs,
    }
    target = Path(__file__).parents[1] / "src/trovid/datasets/synthvid/glyphs.json"
    target.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
