"""Textured backgrounds with clutter, and the camera's slow drift over them."""

from __future__ import annotations

import math

import numpy as np

from trovid.datasets.synthvid.deteriorations import draw_colour
from trovid.datasets.synthvid.glyphs import SUBPIXEL, coverage
from trovid.datasets.synthvid.rng import Rng

DRIFT = 24
_CLUTTER = (8, 18)


def draw_background(rng: Rng, height: int, width: int) -> np.ndarray:
    """A scene that is DRIFT pixels larger than the picture: float32 [H + D, W + D, 3] in 0..1."""
    height, width = height + DRIFT, width + DRIFT
    low, high = draw_colour(rng), draw_colour(rng)
    mix = np.zeros((height, width, 3), dtype=np.float32) + 0.5
    for cell, share in ((72, 0.2), (24, 0.12), (8, 0.06)):
        grey = _smooth(rng, height, width, cell, 1)
        colour = _smooth(rng, height, width, cell, 3)
        mix += share * (0.8 * grey + 0.4 * colour)
    angle, period = rng.uniform(0, math.pi), rng.uniform(6, 40)
    x = np.arange(width, dtype=np.float32) * np.float32(math.cos(angle) / period)
    y = np.arange(height, dtype=np.float32)[:, None] * np.float32(math.sin(angle) / period)
    wave = np.sin((x + y) * np.float32(2 * math.pi))[..., None]
    mix += rng.uniform(0, 0.2) * wave
    image = low + (high - low) * mix
    for _ in range(rng.integer(*_CLUTTER)):
        _add_clutter(rng, image)
    return np.clip(image, 0, 1)


def draw_unseen_background(rng: Rng, height: int, width: int) -> np.ndarray:
    """A scene such as no clip of the benchmark has; see `draw_background`.

    Checks or rings of hard edges in two colours in place of noise and grating, and three times the
    clutter.
    """
    height, width = height + DRIFT, width + DRIFT
    low, high = draw_colour(rng), draw_colour(rng)
    angle, period = rng.uniform(0, math.pi), rng.uniform(14, 48)
    cosine, sine = np.float32(math.cos(angle) / period), np.float32(math.sin(angle) / period)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    if rng.chance(0.5):
        odd = (np.floor(x * cosine + y * sine) + np.floor(y * cosine - x * sine)) % 2
    else:
        middle = rng.uniform(0, width), rng.uniform(0, height)
        odd = np.floor(np.hypot(x - middle[0], y - middle[1]) / np.float32(period)) % 2
    image = low + (high - low) * odd[..., None].astype(np.float32)
    for _ in range(3 * rng.integer(*_CLUTTER)):
        _add_clutter(rng, image)
    return np.clip(image, 0, 1)


def _smooth(rng: Rng, height: int, width: int, cell: int, channels: int) -> np.ndarray:
    """Noise interpolated between cells: float32 [height, width, channels], deviation below 1."""
    rows, columns = height // cell + 2, width // cell + 2
    field = rng.field(rows, columns, channels)
    down, right = (
        np.clip(1 - np.abs((np.arange(n) / cell)[:, None] - np.arange(k)), 0, 1).astype(np.float32)
        for n, k in ((height, rows), (width, columns))
    )
    tall = (down @ field.reshape(rows, -1)).reshape(height, columns, channels)
    return np.einsum("ijc,xj->ixc", tall, right, optimize=True)


def _add_clutter(rng: Rng, image: np.ndarray) -> None:
    """A polygon in one colour, at times with a smaller one of another colour on it."""
    height, width = image.shape[:2]
    size = rng.uniform(0.03, 0.16) * min(height, width)
    centre = np.array([rng.uniform(0, width), rng.uniform(0, height)])
    corners, stretch = rng.choice((3, 4, 5, 6, 24)), rng.uniform(0.25, 1)
    phase, turn = rng.uniform(0, 2 * math.pi), rng.uniform(0, math.pi)
    angles = [phase + 2 * math.pi * i / corners for i in range(corners)]
    outline = np.array([[math.cos(a), stretch * math.sin(a)] for a in angles]) * size
    turned = outline @ np.array(
        [[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]
    )
    half = math.ceil(size) + 1
    left, top = int(centre[0]) - half, int(centre[1]) - half
    rows = slice(max(top, 0), min(top + 2 * half, height))
    columns = slice(max(left, 0), min(left + 2 * half, width))
    patch = image[rows, columns]
    opacity = rng.uniform(0.5, 1)
    for scale in (1.0, 0.6) if rng.chance(0.3) else (1.0,):
        polygon = ((centre + scale * turned) * SUBPIXEL,)
        alpha = coverage(polygon, columns.start, rows.start, patch.shape[:2], 1.0)[..., None]
        patch += np.float32(opacity) * alpha * (draw_colour(rng) - patch)
