"""Maps of the operator's benchmark: random ones, and such as trained networks make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from math import gcd
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.benchmarks.operator_size import OperatorSize
from trovid.errors import TrovidError

RANDOM, TRAINED, SYNTHVID = "random", "trained", "synthvid"
_MARGIN = 6
_DECAY = 0.7
_NOVELTY = 0.6


class Maps(NamedTuple):
    """A target frame's map and those of its support frames.

    Attributes:
        features: Tensor[1, C, H, W].
        support: Tensor[T, C, H, W].
    """

    features: Tensor
    support: Tensor


def make_maps(kind: str, size: OperatorSize, generator: torch.Generator) -> Maps:
    """Maps of a kind: "random", "trained", "synthvid", or those of a folder.

    Args:
        kind: One of the three words, or a folder with one .npy file [C, H, W] a frame; by name the
            first is the target frame.
        size: The case; for the last two kinds it must come from `fitted`.
        generator: Of the first two kinds.
    """
    if kind == RANDOM:
        return _random(size, generator)
    if kind == TRAINED:
        return _trained(size, generator)
    features, support = _given(kind)
    return Maps(features, support[: size.frames])


def fitted(kind: str, size: OperatorSize) -> OperatorSize:
    """The size with the channels, cells and stride that the maps of this kind have.

    Raises:
        TrovidError: If a folder does not hold such maps.
    """
    if kind in (RANDOM, TRAINED):
        return size
    features, support = _given(kind)
    channels, height, width = features.shape[1:]
    return replace(
        size,
        frames=min(size.frames, len(support)),
        channels=channels,
        height=height,
        width=width,
        heads=gcd(channels, size.heads),
        top_k=min(size.top_k, height * width),
    )


def _random(size: OperatorSize, generator: torch.Generator) -> Maps:
    """Independent smooth channels after a ReLU; support maps are shifted and noisy copies."""
    canvas = _smooth(size.channels, 4, size, generator)

    def view(shift_y: int, shift_x: int) -> Tensor:
        cut = _cut(canvas, size, shift_y, shift_x)
        return (cut + 0.2 * torch.randn(cut.shape, generator=generator)).relu_()

    return _views(view, size, generator)


def _trained(size: OperatorSize, generator: torch.Generator) -> Maps:
    """Channels that are mixed from directions of falling strength, after a ReLU.

    C fields, smooth over two cells, of strength i^-0.7 for i = 1..C, are mixed at random into C
    channels; every frame sees them shifted, and deviates in each field by 0.6 of its strength. Both
    numbers were fitted by hand, at the paper's size, to what EfficientNet-Lite0's features of DAVIS
    sequences show (stride 32, 512 of 1280 channels, 38x63 cells, basis from the support cells,
    threshold of the exact K-th best, K = 4): there 16 to 18, 6.0 to 6.7 and 0.9 to 1.9 of 100 cells
    remain for a position in C/16, C/8 and C/4 directions; here 15, 6.7 and 2.0.
    """
    channels = size.channels
    strengths = torch.arange(1, channels + 1).float() ** -_DECAY
    mix = torch.randn(channels, channels, generator=generator) * strengths
    mix /= mix.square().sum(1).mean().sqrt()
    canvas = _smooth(channels, 2, size, generator)

    def view(shift_y: int, shift_x: int) -> Tensor:
        cut = _cut(canvas, size, shift_y, shift_x)
        cut = cut + _NOVELTY * torch.randn(cut.shape, generator=generator)
        return (mix @ cut.flatten(1)).view(cut.shape).relu_()

    return _views(view, size, generator)


def _smooth(channels: int, cells: int, size: OperatorSize, generator: torch.Generator) -> Tensor:
    """Tensor[channels, H + margins, W + margins], smooth over so many cells."""
    height, width = size.height + 2 * _MARGIN, size.width + 2 * _MARGIN
    coarse = torch.randn(1, channels, height // cells + 2, width // cells + 2, generator=generator)
    return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)[0]


def _cut(canvas: Tensor, size: OperatorSize, shift_y: int, shift_x: int) -> Tensor:
    top, left = _MARGIN + shift_y, _MARGIN + shift_x
    return canvas[:, top : top + size.height, left : left + size.width]


def _views(
    view: Callable[[int, int], Tensor], size: OperatorSize, generator: torch.Generator
) -> Maps:
    shape = (size.frames, 2)
    shifts = torch.randint(-_MARGIN, _MARGIN + 1, shape, generator=generator).tolist()
    return Maps(view(0, 0).unsqueeze(0), torch.stack([view(*shift) for shift in shifts]))


@cache
def _given(kind: str) -> Maps:
    return _of_synthvid() if kind == SYNTHVID else _of_folder(Path(kind))


@torch.no_grad()
def _of_synthvid() -> Maps:
    """The level that the embedded detector searches, in 15 frames of a SynthVID clip."""
    from trovid.datasets.synthvid.clip import make_clip
    from trovid.video.transforms import make_transform
    from trovid.zoo.weights import embedded_models, load_weights

    detector, card = load_weights(embedded_models()["synthvid-selsa-troi"])
    frames = make_clip("val", 0, num_frames=29).frames[::2]
    transform = make_transform(**asdict(card.recipe.image))
    images = transform.normalise([transform.resize(frame) for frame in frames])
    levels: Any = detector.searched_levels
    (level,) = levels
    maps = detector.eval().backbone(images)[level]
    middle = len(maps) // 2
    return Maps(maps[[middle]], torch.cat([maps[:middle], maps[middle + 1 :]]))


def _of_folder(folder: Path) -> Maps:
    files = sorted(folder.glob("*.npy"))
    if len(files) < 2:
        raise TrovidError(
            f"`maps` must be random, trained, synthvid, or a folder with a file .npy [C, H, W] for "
            f"each of 2 or more frames, but {folder} has {len(files)}"
        )
    maps = []
    for file in files:
        try:
            one = np.load(file, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise TrovidError(f"{file} is not a .npy file of numbers: write it anew") from error
        if one.ndim != 3 or not one.size or not np.issubdtype(one.dtype, np.floating):
            raise TrovidError(
                f"{file} must hold floating point [C, H, W], none of them 0, but holds "
                f"{one.dtype} {list(one.shape)}"
            )
        if maps and one.shape != maps[0].shape:
            raise TrovidError(
                f"{file} must have the shape of {files[0].name} {list(maps[0].shape)}, "
                f"but has {list(one.shape)}"
            )
        maps.append(one)
    stacked = torch.from_numpy(np.stack(maps).astype(np.float32))
    if not stacked.isfinite().all():
        raise TrovidError(f"the maps in {folder} must be finite: leave NaN and infinities out")
    return Maps(stacked[:1], stacked[1:])
