"""From a decoded frame to the detector's input, the same at training and at inference."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class FrameTransform:
    """Resize keeping the ratio, normalise, pad.

    Attributes:
        shorter: Length of the shorter side after resizing, in pixels.
        longer: Upper bound of the longer side.
        mean: Mean of each channel, RGB in 0..255.
        std: Deviation of each channel.
        divisor: Height and width are padded with zeros to a multiple of this.
        antialias: Whether downscaling averages; otherwise plain bilinear interpolation between
            the four nearest pixels, as OpenCV's INTER_LINEAR (published code).
    """

    shorter: int
    longer: int
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    divisor: int = 16
    antialias: bool = True

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a frame after resizing."""
        scale = min(self.shorter / min(height, width), self.longer / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))

    def resize(self, frame: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] to uint8 [h, w, 3], bilinear."""
        size = self.size(*frame.shape[:2])
        if size == frame.shape[:2]:
            return frame
        image = _tensor(frame)[None].permute(0, 3, 1, 2)
        return _resized(image, size, antialias=self.antialias)[0].permute(1, 2, 0).numpy()

    def normalise(self, frames: Sequence[np.ndarray], device: torch.device | str = "cpu") -> Tensor:
        """Resized uint8 frames of equal size to Tensor[T, 3, H, W], normalised and padded."""
        stack = torch.from_numpy(np.stack(frames)).to(device).permute(0, 3, 1, 2).float()
        mean = torch.tensor(self.mean, device=device).view(3, 1, 1)
        std = torch.tensor(self.std, device=device).view(3, 1, 1)
        return _padded(stack.sub_(mean).div_(std), self.divisor)


def _tensor(frame: np.ndarray) -> Tensor:
    """Shares the frame's memory, unless torch would warn that it may only be read."""
    return torch.from_numpy(np.require(frame, requirements=["C", "W"]))


def _padded(images: Tensor, divisor: int) -> Tensor:
    """With zeros below and right, up to a multiple of `divisor`."""
    height, width = images.shape[-2:]
    below, right = -height % divisor, -width % divisor
    return F.pad(images, (0, right, 0, below)) if below or right else images


def _resized(image: Tensor, size: tuple[int, int], *, antialias: bool) -> Tensor:
    """uint8 [1, 3, H, W] to [1, 3, h, w], as torchvision.transforms.v2.functional.resize does it.

    Importing that brings torch's compiler along, which takes longer than the first frame.
    """
    native = platform.machine() in ("aarch64", "arm64")
    native = native or torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    image = image if native else image.float()
    resized = F.interpolate(
        image, size=list(size), mode="bilinear", align_corners=False, antialias=antialias
    )
    return resized if native else resized.round_().to(torch.uint8)


class TorchvisionTransform(FrameTransform):
    """The input of torchvision's detectors, operation by operation.

    Sizes are rounded down, and frames are normalised before they are resized and never rounded.
    """

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a frame after resizing."""
        scale = min(self.shorter / min(height, width), self.longer / max(height, width))
        return max(1, math.floor(height * scale)), max(1, math.floor(width * scale))

    def resize(self, frame: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] to float32 [h, w, 3], normalised and resized."""
        planes = _tensor(frame).permute(2, 0, 1).float() / 255
        mean, std = (
            torch.tensor([value / 255 for value in values]).view(3, 1, 1)
            for values in (self.mean, self.std)
        )
        resized = F.interpolate(
            ((planes - mean) / std)[None],
            size=self.size(*frame.shape[:2]),
            mode="bilinear",
            align_corners=False,
        )
        return resized[0].permute(1, 2, 0).numpy()

    def normalise(self, frames: Sequence[np.ndarray], device: torch.device | str = "cpu") -> Tensor:
        """What `resize` gave, of equal size, to Tensor[T, 3, H, W], padded."""
        stack = torch.from_numpy(np.stack(frames)).to(device).permute(0, 3, 1, 2)
        return _padded(stack, self.divisor)


def make_transform(*, name: str | None = None, **values: Any) -> FrameTransform:
    """The transform of a recipe's section `image`, whose `name` is "torchvision" or missing."""
    return (TorchvisionTransform if name == "torchvision" else FrameTransform)(**values)


def skip_colours(rng: np.random.RandomState) -> None:
    """Takes from a source of chance what `permute_colours` takes."""
    rng.permutation(3)
    rng.choice([-1.0, 1.0], 3)


def permute_colours(images: Tensor, rng: np.random.RandomState) -> Tensor:
    """Exchanges and inverts colour channels, alike in all frames given (augmentation).

    Args:
        images: Tensor[T, 3, H, W], normalised (inversion negates).
        rng: Source of chance.
    """
    order = torch.from_numpy(rng.permutation(3))
    sign = torch.from_numpy(rng.choice([-1.0, 1.0], 3)).to(images.dtype)
    return images[:, order] * sign.view(3, 1, 1).to(images.device)
