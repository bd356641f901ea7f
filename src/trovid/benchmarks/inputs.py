"""Inputs of the operator's benchmark: seeded, and shaped as a detector's are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import roi_align

from trovid.benchmarks.maps import RANDOM, make_maps
from trovid.benchmarks.operator_size import OperatorSize

__all__ = ["OperatorInputs", "OperatorSize", "clustered_boxes", "make_inputs"]


@dataclass(frozen=True, eq=False)
class OperatorInputs:
    """Tensors of one case.

    Attributes:
        features: Tensor[1, C, H, W].
        support: Tensor[T, C, H, W].
        boxes: Tensor[R, 4], in image pixels, float32 or float64.
        weight: Tensor[C, C/N or C, 3, 3], or None for the plain average.
        bias: Tensor[C], or None.
        grad_output: Tensor[R, C, h, w], for the backward.
    """

    features: Tensor
    support: Tensor
    boxes: Tensor
    weight: Tensor | None
    bias: Tensor | None
    grad_output: Tensor

    def leaves(self) -> dict[str, Tensor]:
        """What a gradient goes to, by name."""
        named = {
            "features": self.features,
            "support": self.support,
            "weight": self.weight,
            "bias": self.bias,
        }
        return {name: leaf for name, leaf in named.items() if leaf is not None}

    def to(self, dtype: torch.dtype) -> OperatorInputs:
        """The same numbers in another precision, with leaves of their own."""
        boxes = self.boxes.double() if dtype == torch.float64 else self.boxes
        return OperatorInputs(
            self.features.detach().to(dtype),
            self.support.detach().to(dtype),
            boxes,
            None if self.weight is None else self.weight.detach().to(dtype),
            None if self.bias is None else self.bias.detach().to(dtype),
            self.grad_output.to(dtype),
        )


def make_inputs(
    size: OperatorSize,
    *,
    seed: int = 0,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    maps: str = RANDOM,
) -> OperatorInputs:
    """Maps of a kind (`trovid.benchmarks.maps`), boxes, an embedding, a gradient of the output.

    Boxes come in clusters around objects, as a region proposal network gives them. The embedding
    is scaled such that the target's own logit is about 4: the softmax over frames is neither flat
    nor saturated, so that an error in any part shows in the output. The gradient of the output is
    RoIAlign's own features with noise: noise alone would leave the embedding a gradient that is a
    sum of terms which cancel, and so mostly rounding.
    """
    generator = torch.Generator().manual_seed(seed)
    features, support = make_maps(maps, size, generator)
    boxes = clustered_boxes(size, generator)
    weight = bias = None
    if size.form != "average":
        inputs, per_head = size.embedding_inputs, size.channels // size.heads
        deviation = (4 / per_head / (0.5 * 9 * inputs)) ** 0.5
        weight = deviation * torch.randn(size.channels, inputs, 3, 3, generator=generator)
        bias = 0.1 * torch.randn(size.channels, generator=generator)
    grad_output = roi_align(features, [boxes], size.grid, 1 / size.stride, size.sampling_ratio)
    grad_output += 0.3 * torch.randn(grad_output.shape, generator=generator)
    return OperatorInputs(
        features.to(device, dtype),
        support.to(device, dtype),
        boxes.to(device, torch.float64 if dtype == torch.float64 else torch.float32),
        None if weight is None else weight.to(device, dtype),
        None if bias is None else bias.to(device, dtype),
        grad_output.to(device, dtype),
    )


def clustered_boxes(size: OperatorSize, generator: torch.Generator) -> Tensor:
    """Tensor[R, 4] within the image: about 15 boxes around each object, places and sizes jittered.

    An object's shorter side is between 1/12 and 1/2 of the image's, its aspect between 1/2 and 2.
    """
    height, width = size.height * size.stride, size.width * size.stride
    objects = max(1, size.rois // 15)
    extent = torch.tensor([width, height], dtype=torch.float32)
    centres = torch.rand(objects, 2, generator=generator) * extent
    scale = min(height, width) * (1 / 12) * 6 ** torch.rand(objects, 1, generator=generator)
    stretch = 2 ** (torch.rand(objects, 1, generator=generator) - 0.5)
    sides = torch.cat([scale * stretch, scale / stretch], dim=1)
    chosen = torch.randint(objects, (size.rois,), generator=generator)
    jitter = torch.randn(2, size.rois, 2, generator=generator)
    sides = sides[chosen] * torch.exp(0.2 * jitter[0])
    centres = centres[chosen] + 0.15 * sides * jitter[1]
    low, high = centres - sides / 2, centres + sides / 2
    boxes = torch.cat([low.minimum(extent - size.stride), high.maximum(low.new_tensor(16.0))], 1)
    return torch.minimum(boxes.clamp(min=0.0), extent.repeat(2))
