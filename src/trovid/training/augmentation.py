"""Changes of a clip's frames that its boxes follow: alike in all frames, but for damage."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as T

from trovid.recipes import AugmentationRecipe

Frames = NDArray[np.uint8]
DAMAGES = ("motion", "focus", "darkness", "noise")
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Window:
    """A part of the frames that is enlarged to their size.

    Attributes:
        x: Its left edge, as a share of the width.
        y: Its upper edge, as a share of the height.
        share: Its width and height, as shares.
    """

    x: float = 0.0
    y: float = 0.0
    share: float = 1.0

    def frames(self, frames: Frames) -> Frames:
        """[T, H, W, 3], of the same size."""
        if self.share == 1.0:
            return frames
        height, width = frames.shape[1:3]
        top, left = round(self.y * height), round(self.x * width)
        sides = max(1, round(self.share * height)), max(1, round(self.share * width))
        planes = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        planes = T.resized_crop(planes, top, left, *sides, [height, width], antialias=True)
        return planes.permute(0, 2, 3, 1).contiguous().numpy()

    def boxes(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Tensor[N, 4] in the pixels of the enlarged window, cut at its edges."""
        height, width = size
        corner = boxes.new_tensor([self.x * width, self.y * height]).repeat(2)
        moved = (boxes - corner) / self.share
        return torch.minimum(moved.clamp(min=0), boxes.new_tensor([width, height]).repeat(2))


def drawn_windows(
    settings: AugmentationRecipe, chance: random.Random, *, count: int, still: bool = False
) -> list[Window]:
    """A random window, at least `crop` of the sides, for all frames of a clip.

    Args:
        settings: How small it may be.
        chance: Source of chance.
        count: How many frames.
        still: Whether the clip repeats one picture: with `still_motion` the window then moves from
            frame to frame, and grows or shrinks, as if the picture were seen by a moving camera.
    """
    motion = settings.still_motion if still else 0.0
    widest = 1 - motion
    share = chance.uniform(min(settings.crop, widest), widest) if settings.crop < 1 else widest
    window = Window(chance.uniform(0, 1 - share), chance.uniform(0, 1 - share), share)
    if not motion:
        return [window] * count
    return [window, *(_moved_window(window, motion, chance) for _ in range(count - 1))]


def _moved_window(window: Window, motion: float, chance: random.Random) -> Window:
    share = min(1.0, window.share * chance.uniform(1 - motion, 1 + motion))
    x, y = (
        min(max(side + chance.uniform(-motion, motion), 0.0), 1 - share)
        for side in (window.x, window.y)
    )
    return Window(x, y, share)


def in_windows(frames: Frames, windows: Sequence[Window]) -> Frames:
    """Each frame's window enlarged to its size; [T, H, W, 3]."""
    if all(window == windows[0] for window in windows):
        return windows[0].frames(frames)
    return np.concatenate([window.frames(frames[k : k + 1]) for k, window in enumerate(windows)])


def changed_looks(
    frames: Frames, settings: AugmentationRecipe, chance: random.Random, *, targets: int
) -> Frames:
    """Light and blur alike in all frames; damage in single target frames.

    Args:
        frames: [T, H, W, 3].
        settings: How much and how often.
        chance: Source of chance.
        targets: How many frames, from the first, are target frames.
    """
    if settings.light:
        spread = settings.light
        factors = [chance.uniform(1 - spread, 1 + spread) for _ in range(3)]
        frames = _lit(frames, *factors)
    if settings.blur and chance.random() < settings.blur:
        sigma = chance.uniform(0.3, 1.5)
        frames = np.stack([_blurred(frame, sigma) for frame in frames])
    if settings.damage:
        frames = frames.copy()
        for number in range(targets):
            if chance.random() < settings.damage:
                frames[number] = damaged(frames[number], chance)
    return frames


def damaged(frame: Frames, chance: random.Random) -> Frames:
    """A frame [H, W, 3] blurred by motion, out of focus, dark, or noisy, as in SynthVID."""
    kind = chance.choice(DAMAGES)
    size = min(frame.shape[:2])
    if kind == "motion":
        length = max(3, round(size * chance.uniform(0.02, 0.12)))
        return _moved(frame, length, chance.random() < 0.5)
    if kind == "focus":
        return _blurred(frame, size * chance.uniform(0.005, 0.025))
    noise = np.random.RandomState(chance.getrandbits(32))
    light = chance.uniform(0.2, 0.6) if kind == "darkness" else 1.0
    strength = chance.uniform(0.02, 0.08 if kind == "darkness" else 0.15)
    grains = noise.standard_normal((*frame.shape[:2], 1)) * 255 * strength
    return _rounded(frame * light + grains)


def _lit(frames: Frames, brightness: float, contrast: float, saturation: float) -> Frames:
    values = frames.astype(np.float32) * brightness
    values = (values - values.mean()) * contrast + values.mean()
    grey = values @ np.array(GREY, dtype=np.float32)
    return _rounded(grey[..., None] + (values - grey[..., None]) * saturation)


def _blurred(frame: Frames, sigma: float) -> Frames:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(frame, (sigma, sigma, 0))


def _moved(frame: Frames, length: int, sideways: bool) -> Frames:
    from scipy.ndimage import uniform_filter1d

    return uniform_filter1d(frame, length, axis=1 if sideways else 0, mode="nearest")


def _rounded(values: NDArray[np.floating]) -> Frames:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
