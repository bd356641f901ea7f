"""Damage of one real frame, in three strengths each, of which single-frame results choose one."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, uniform_filter1d

Frame = NDArray[np.uint8]
CLEAN = "clean"


def motion_blur(frame: Frame, pixels: float) -> Frame:
    """The mean along a horizontal line."""
    return uniform_filter1d(frame, int(pixels), axis=1, mode="nearest")


def defocus(frame: Frame, sigma: float) -> Frame:
    """A Gaussian blur."""
    return gaussian_filter(frame, (sigma, sigma, 0))


def jpeg(frame: Frame, quality: float) -> Frame:
    """Written as JPEG and read again."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=int(quality))
    return np.array(Image.open(file).convert("RGB"))


def noise(frame: Frame, sigma: float) -> Frame:
    """Gaussian noise, the same at every call; `sigma` as a share of the range."""
    grains = np.random.default_rng(0).standard_normal(frame.shape) * 255 * sigma
    return (frame + grains).clip(0, 255).astype(np.uint8)


DAMAGES: dict[str, tuple[Callable[[Frame, float], Frame], tuple[float, ...]]] = {
    "motion blur": (motion_blur, (9, 15, 25)),
    "defocus": (defocus, (2, 4, 6)),
    "JPEG": (jpeg, (10, 5, 3)),
    "noise": (noise, (0.1, 0.2, 0.3)),
}
"""How each is made and its strengths (pixels, sigma in pixels, quality, share of the range)."""


def damages() -> list[str]:
    """All damages of all strengths, by name: "motion blur 9"."""
    return [f"{kind} {value:g}" for kind, (_, values) in DAMAGES.items() for value in values]


def damaged(frame: Frame, name: str) -> Frame:
    """A frame with a damage of `damages()`, or as it is ("clean")."""
    if name == CLEAN:
        return frame
    kind, value = name.rsplit(" ", 1)
    return DAMAGES[kind][0](frame, float(value))
