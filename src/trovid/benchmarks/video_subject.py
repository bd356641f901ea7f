"""What `trovid bench video` runs: a detector of random weights, and frames that move."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trovid.detectors.building import build_detector
from trovid.detectors.contract import VideoDetector
from trovid.errors import TrovidError
from trovid.recipes import ModelRecipe, Recipe, load_recipe
from trovid.video.opening import Frame
from trovid.video.transforms import FrameTransform

QUICK_SIZE = (160, 256)


def subject_recipe(name: str, *, quick: bool = False) -> Recipe:
    """A recipe; `quick`: with small images, few proposals and few support frames."""
    recipe = load_recipe(name)
    if not quick:
        return recipe
    shorter, longer = QUICK_SIZE
    if not isinstance(recipe.model, ModelRecipe):
        raise TrovidError(f"{recipe.name} is one of torchvision's detectors: not measured here")
    rpn = replace(recipe.model.rpn, post_nms=(20, 20))
    return replace(
        recipe,
        model=replace(recipe.model, rpn=rpn),
        image=replace(recipe.image, shorter=shorter, longer=longer),
        inference=replace(recipe.inference, support="uniform:3"),
    )


def random_detector(recipe: Recipe, *, seed: int = 0) -> VideoDetector:
    """A detector of random weights whose BatchNorm has the statistics of a frame.

    Without these the activations of a random network of many blocks grow beyond all bounds.
    """
    torch.manual_seed(seed)
    detector = build_detector(recipe).eval()
    frame = moving_frames(1, recipe.image.shorter, recipe.image.longer, seed=seed)[0]
    images = FrameTransform(**asdict(recipe.image)).normalise([frame.image])
    for norm in detector.backbone.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
            norm.train()
    with torch.no_grad():
        detector.backbone(images)
    return detector.eval()


def moving_frames(count: int, height: int, width: int, *, seed: int = 0) -> list[Frame]:
    """Frames of a smooth random texture that moves by a few pixels a frame, with little noise."""
    generator = torch.Generator().manual_seed(seed)
    margin = 4 * count
    coarse = torch.rand(1, 3, 24, 40, generator=generator)
    size = (height + margin, width + margin)
    texture = F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)[0]
    frames = []
    for index in range(count):
        top, left = 2 * index, 4 * index
        crop = texture[:, top : top + height, left : left + width]
        noisy = crop + 0.02 * torch.randn(crop.shape, generator=generator)
        pixels = (noisy.clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        frames.append(Frame(index, index / 25, pixels))
    return frames


def clip(recipe: Recipe, count: int) -> np.ndarray:
    """uint8 [count, H, W, 3] of the recipe's own size."""
    frames = moving_frames(count, recipe.image.shorter, recipe.image.longer)
    return np.stack([frame.image for frame in frames])


def unmatched_rows(found: Tensor, wanted: Tensor, tolerance: float) -> float:
    """Share of the rows of `found` that differ from each row of `wanted` by more than that."""
    parts = found.double().split(64)
    nearest = torch.cat([torch.cdist(p, wanted.double(), p=torch.inf).amin(1) for p in parts])
    return float((nearest > tolerance).double().mean())
