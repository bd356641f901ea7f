"""What spoils single frames of a video, made on clear ones: at training and to measure with."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
RANGES = {
    "motion_blur": (3.0, 20.0),
    "defocus": (1.0, 4.0),
    "noise": (8.0, 45.0),
    "darkness": (2.0, 7.0),
    "jpeg": (20.0, 3.0),
    "occlusion": (0.3, 0.7),
}
"""By kind a weak and a strong one: pixels of the path, deviation in pixels, deviation in grey
levels, divisor of the light, quality, width of the bar as a share of the covered box's side."""
KINDS = tuple(RANGES)
DARK_NOISE, GRAIN_COLOUR = 6.0, 0.4
BAR_LENGTH = 1.1


def deteriorated(
    frame: Frame,
    kind: str,
    strength: float,
    chance: random.Random,
    *,
    box: Sequence[float] | None = None,
) -> Frame:
    """A frame that was clear, with one of the deteriorations of SynthVID or a camera.

    Args:
        frame: uint8 [H, W, 3].
        kind: One of `KINDS`.
        strength: How strongly, in the unit of the kind (`RANGES`).
        chance: Source of directions, grains and colours.
        box: What an occlusion covers, x1 y1 x2 y2 in pixels; None for the middle of the frame.

    Returns:
        uint8 [H, W, 3]; the frame given is not changed.

    Raises:
        ValueError: If there is no such kind.
    """
    if kind == "motion_blur":
        return motion_blurred(frame, strength, chance.uniform(0, math.pi))
    if kind == "defocus":
        return defocused(frame, strength)
    if kind == "noise":
        return noisy(frame, strength, chance)
    if kind == "darkness":
        return noisy(frame / np.float32(strength), DARK_NOISE, chance)
    if kind == "jpeg":
        return compressed(frame, round(strength))
    if kind == "occlusion":
        return covered(frame, strength, chance, box=box)
    raise ValueError(f"`kind` must be one of {list(KINDS)}, but is {kind!r}")


def drawn_strength(kind: str, chance: random.Random) -> float:
    """A strength of a kind at random, between a weak and a strong one."""
    return chance.uniform(*RANGES[kind])


def motion_blurred(frame: Frame, length: float, angle: float) -> Frame:
    """The mean of a frame along a line.

    Args:
        frame: uint8 [H, W, 3].
        length: Of the line, in pixels.
        angle: Between the line and the horizontal, in radians.
    """
    taps = max(2, math.ceil(length))
    reach = math.ceil(length / 2)
    height, width = frame.shape[:2]
    wide = np.pad(frame, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = np.zeros(frame.shape, np.uint32)
    for tap in range(taps):
        along = ((tap + 0.5) / taps - 0.5) * length
        top, left = (reach + round(along * part) for part in (math.sin(angle), math.cos(angle)))
        total += wide[top : top + height, left : left + width]
    return ((total + taps // 2) // taps).astype(np.uint8)


def defocused(frame: Frame, sigma: float) -> Frame:
    """A frame under a Gaussian of a deviation in pixels."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(frame, (sigma, sigma, 0))


def noisy(frame: NDArray[np.generic], sigma: float, chance: random.Random) -> Frame:
    """A frame with grains, mostly grey, of a deviation in grey levels."""
    rng = np.random.default_rng(chance.getrandbits(32))
    height, width = frame.shape[:2]
    grey = rng.standard_normal((height, width, 1), np.float32)
    colour = GRAIN_COLOUR * rng.standard_normal((height, width, 3), np.float32)
    values = frame.astype(np.float32) + np.float32(sigma) * (grey + colour)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def compressed(frame: Frame, quality: int) -> Frame:
    """A frame after JPEG of a quality from 1 to 95."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame).save(file, "jpeg", quality=quality)
    return np.array(Image.open(file))


def covered(
    frame: Frame, share: float, chance: random.Random, *, box: Sequence[float] | None = None
) -> Frame:
    """A striped, grainy bar over a box, at a random angle.

    Args:
        frame: uint8 [H, W, 3].
        share: Width of the bar as a share of the box's side (the root of its area).
        chance: Source of angle, place and colours.
        box: x1 y1 x2 y2 in pixels; None for the middle of the frame.
    """
    height, width = frame.shape[:2]
    x1, y1, x2, y2 = box or (width / 4, height / 4, width * 3 / 4, height * 3 / 4)
    side = max(1.0, math.sqrt((x2 - x1) * (y2 - y1)))
    angle = chance.uniform(0, math.pi)
    x = (
        np.arange(width, dtype=np.float32)
        + 0.5
        - ((x1 + x2) / 2 + chance.uniform(-0.1, 0.1) * side)
    )
    y = (
        np.arange(height, dtype=np.float32)
        + 0.5
        - ((y1 + y2) / 2 + chance.uniform(-0.1, 0.1) * side)
    )
    along = x * math.cos(angle) + y[:, None] * math.sin(angle)
    across = y[:, None] * math.cos(angle) - x * math.sin(angle)
    reach = BAR_LENGTH * max(x2 - x1, y2 - y1) / 2
    bar = (abs(across) < share * side / 2) & (abs(along) < reach)
    colours = [[chance.uniform(5, 250) for _ in range(3)] for _ in range(2)]
    stripes = np.sin(along[bar] * np.float32(2 * math.pi / (0.25 * side)))[:, None] > 0
    changed = frame.copy()
    changed[bar] = np.where(stripes, *np.array(colours, np.float32)).astype(np.uint8)
    return changed
