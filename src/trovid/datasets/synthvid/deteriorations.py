"""How a sticker is drawn, clear or deteriorated.

All lengths are in units of the object's size (the sticker's longer side), at strength 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trovid.datasets.synthvid.glyphs import SUBPIXEL, coverage
from trovid.datasets.synthvid.rng import Rng
from trovid.datasets.synthvid.script import Pose

BLUR_LENGTH = 0.625
DEFOCUS_SIGMA = 0.0975
BAR_WIDTH, BAR_LENGTH = 0.56, 1.08
NOISE_SIGMA, NOISE_CONTRAST, NOISE_COLOUR = 0.15, 0.65, 0.15
DARKNESS, DARK_NOISE = 3.0, 0.3
SMEAR_SIGMA = 0.05
CELLS = 11

_SIGMA = {"defocus": DEFOCUS_SIGMA, "noise": SMEAR_SIGMA, "darkness": SMEAR_SIGMA}

Colour = np.ndarray


@dataclass(frozen=True, eq=False)
class Look:
    """Colours of one object: float32 [3] in 0..1 for the sticker and the pictogram on it."""

    body: Colour
    ink: Colour


@dataclass(frozen=True, eq=False)
class Manner:
    """What stays the same through one stretch: directions and colours that carry no meaning."""

    angle: float
    offset: tuple[float, float]
    bar: tuple[Colour, Colour]

    @classmethod
    def draw(cls, rng: Rng) -> Manner:
        """A manner at random."""
        return cls(
            rng.uniform(0, math.pi),
            (rng.uniform(-0.06, 0.06), rng.uniform(-0.06, 0.06)),
            (draw_colour(rng), draw_colour(rng)),
        )


def draw_colour(rng: Rng) -> Colour:
    """A colour, each channel uniform: float32 [3] in 0..1."""
    return np.array([rng.uniform(0.02, 0.98) for _ in range(3)], dtype=np.float32)


def draw_object(
    image: np.ndarray,
    pose: Pose,
    look: Look,
    *,
    kind: str,
    strength: float,
    manner: Manner,
    rng: Rng,
) -> None:
    """Draws one object into a picture.

    Args:
        image: float32 [H, W, 3] in 0..1, changed in place.
        pose: Where the object is.
        look: Its colours.
        kind: "none" or one of `timeline.KINDS`.
        strength: How strongly.
        manner: What the whole stretch shares.
        rng: Source of random numbers for this frame.
    """
    half = math.ceil(_reach(pose, kind, strength) * pose.size)
    left, top = round(pose.centre[0]) - half, round(pose.centre[1]) - half
    rows = slice(max(-top, 0), min(image.shape[0] - top, 2 * half))
    columns = slice(max(-left, 0), min(image.shape[1] - left, 2 * half))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    patch = image[rows.start + top : rows.stop + top, columns.start + left : columns.stop + left]

    if kind == "motion_blur":
        planes = _shaken(_planes(pose, left, top, half, 1.0), strength * pose.size, manner.angle)
    elif kind in _SIGMA:
        planes = _defocused(pose, left, top, half, _SIGMA[kind] * strength * pose.size)
    else:
        planes = _planes(pose, left, top, half, 1.0)
    sticker, ink = planes[:, rows, columns, None]
    patch *= 1 - sticker
    patch += (sticker - ink) * look.body + ink * look.ink

    if kind == "occlusion":
        _cover(patch, pose, (left + columns.start, top + rows.start), strength, manner, rng)
    elif kind in ("noise", "darkness"):
        region = _region(pose, left, top, half)[rows, columns, None]
        grains = _grains(rng, half, pose.size)[rows, columns]
        spoil = _noised if kind == "noise" else _darkened
        patch += region * (spoil(patch, region, grains, strength) - patch)


def _reach(pose: Pose, kind: str, strength: float) -> float:
    """Half the side of a square that holds all that is drawn, in units of the size."""
    if kind == "none":
        points = np.concatenate(pose.silhouette) / SUBPIXEL - pose.centre
        return float(np.abs(points).max() + 1) / pose.size
    if kind == "motion_blur":
        return 0.95 + 0.5 * BLUR_LENGTH * strength
    return 0.95 + (3 * DEFOCUS_SIGMA * strength if kind == "defocus" else 0.0)


def _planes(pose: Pose, left: int, top: int, half: int, step: float) -> np.ndarray:
    """Coverage of sticker and pictogram, float32 [2, n, n], in cells of `step` pixels."""
    cells = math.ceil(2 * half / step)
    shape = (cells, cells)
    sticker = coverage(pose.silhouette, left, top, shape, step)
    return np.stack([sticker, np.minimum(coverage(pose.glyph, left, top, shape, step), sticker)])


def _shaken(planes: np.ndarray, scale: float, angle: float) -> np.ndarray:
    """Mean of the planes along a line of BLUR_LENGTH."""
    length = BLUR_LENGTH * scale
    taps = max(2, math.ceil(length / 1.5))
    shifts: dict[tuple[int, int], int] = {}
    for tap in range(taps):
        along = ((tap + 0.5) / taps - 0.5) * length
        shift = (round(along * math.sin(angle)), round(along * math.cos(angle)))
        shifts[shift] = shifts.get(shift, 0) + 1
    total = np.zeros_like(planes)
    side = planes.shape[1]
    for (down, right), weight in shifts.items():
        to = (slice(max(down, 0), side + min(down, 0)), slice(max(right, 0), side + min(right, 0)))
        of = (
            slice(max(-down, 0), side - max(down, 0)),
            slice(max(-right, 0), side - max(right, 0)),
        )
        total[:, to[0], to[1]] += planes[:, of[0], of[1]] * np.float32(weight / taps)
    return total


def _defocused(pose: Pose, left: int, top: int, half: int, sigma: float) -> np.ndarray:
    """Planes under a Gaussian, from coarse cells that it makes indistinguishable from fine ones."""
    step = max(1, int(sigma / 2.5))
    planes = _planes(pose, left, top, half, step)
    fine = np.arange(2 * half) + 0.5
    coarse = (np.arange(planes.shape[1]) + 0.5) * step
    kernel = np.exp(-0.5 * ((fine[:, None] - coarse) / max(sigma, 0.3)) ** 2)
    kernel = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return kernel @ planes @ kernel.T


def _region(pose: Pose, left: int, top: int, half: int) -> np.ndarray:
    """A soft rounded square about the object that hides its outline: float32 [n, n] in 0..1."""
    distance = []
    for centre, edge in zip(pose.centre, (left, top), strict=True):
        place = np.arange(edge, edge + 2 * half, dtype=np.float32) + 0.5
        distance.append(np.abs(place - centre) / pose.size)
    radius = (distance[1][:, None] ** 4 + distance[0][None] ** 4) ** 0.25
    return np.clip((0.8 - radius) / 0.15, 0, 1).astype(np.float32)


def _grains(rng: Rng, half: int, size: float) -> np.ndarray:
    """Coarse noise, mean 0, deviation about 1: float32 [n, n, 4], grey and three colours."""
    cells = math.ceil(2 * half / size * CELLS) + 1
    field = rng.field(cells, cells, 4)
    place = np.arange(2 * half, dtype=np.float32) / np.float32(size / CELLS)
    weights = np.clip(1 - np.abs(place[:, None] - np.arange(cells, dtype=np.float32)), 0, 1)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    rows = (weights @ field.reshape(cells, -1)).reshape(2 * half, cells, 4)
    return np.einsum("ijc,xj->ixc", rows, weights, optimize=True)


def _noised(
    patch: np.ndarray, region: np.ndarray, grains: np.ndarray, strength: float
) -> np.ndarray:
    mean = (patch * region).sum(axis=(0, 1)) / region.sum()
    sigma = NOISE_SIGMA * strength
    noise = sigma * grains[..., :1] + NOISE_COLOUR * sigma * grains[..., 1:]
    return np.clip(mean + NOISE_CONTRAST * (patch - mean) + noise, 0, 1)


def _darkened(
    patch: np.ndarray, region: np.ndarray, grains: np.ndarray, strength: float
) -> np.ndarray:
    del region
    gain = 1 / (1 + DARKNESS * strength)
    noise = DARK_NOISE * strength * (grains[..., :1] + NOISE_COLOUR * grains[..., 1:])
    return np.clip(gain * (patch * (1 + noise) + 0.25 * noise), 0, 1)


def bar_corners(pose: Pose, strength: float, manner: Manner) -> np.ndarray:
    """The corners of the bar over an object: float64 [4, 2], x and y in pixels."""
    along = np.array([math.cos(manner.angle), math.sin(manner.angle)])
    across = np.array([-along[1], along[0]])
    centre = np.array(pose.centre) + np.array(manner.offset) * pose.size
    reach = along * (BAR_LENGTH / 2 * pose.size)
    spread = across * (BAR_WIDTH * strength / 2 * pose.size)
    return centre + np.array([reach + spread, reach - spread, -reach - spread, -reach + spread])


def _cover(
    patch: np.ndarray,
    pose: Pose,
    corner: tuple[int, int],
    strength: float,
    manner: Manner,
    rng: Rng,
) -> None:
    """A striped, grainy bar over the object."""
    along = np.array([math.cos(manner.angle), math.sin(manner.angle)])
    centre = np.array(pose.centre) + np.array(manner.offset) * pose.size
    rectangle = (bar_corners(pose, strength, manner) * SUBPIXEL,)
    height, width = patch.shape[:2]
    alpha = coverage(rectangle, corner[0], corner[1], (height, width), 1.0)[..., None]
    x = np.arange(width, dtype=np.float32) + np.float32(corner[0] + 0.5 - centre[0])
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(corner[1] + 0.5 - centre[1])
    depth = (x * np.float32(along[0]) + y * np.float32(along[1])) / np.float32(pose.size)
    stripe = np.clip(0.5 + 2 * np.sin(depth * np.float32(2 * math.pi / 0.22)), 0, 1)[..., None]
    first, second = manner.bar
    bar = first * stripe + second * (1 - stripe)
    patch += alpha * (bar - patch)
