"""One call of the operator: checked, in one precision, as every backend receives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from trovid.ops.packed import PackedSupport


@dataclass(frozen=True, eq=False)
class Problem:
    """What Temporal RoI Align is computed from. No tensor in it takes part in a graph.

    Attributes:
        features: Tensor[B, C, H, W], float32 or float64, as are all others.
        support: The support maps of the B videos.
        rois: Tensor[R, 5]: index of the video, x1, y1, x2, y2 in image pixels.
        weight: Tensor[C, C/N, 3, 3] or Tensor[C, C, 3, 3]; None for the plain average.
        bias: Tensor[C] or None.
        output_size: (h, w) of the RoI grid.
        spatial_scale: Map pixels per image pixel.
        sampling_ratio: RoIAlign's samples per bin and axis; <= 0: adaptive.
        aligned: RoIAlign's shift by half a pixel.
        top_k: K.
        num_heads: N; 0 for the plain average.
        logit_scale: Factor of the attention's logits.
    """

    features: Tensor
    support: PackedSupport
    rois: Tensor
    weight: Tensor | None
    bias: Tensor | None
    output_size: tuple[int, int]
    spatial_scale: float
    sampling_ratio: int
    aligned: bool
    top_k: int
    num_heads: int
    logit_scale: float

    @property
    def pooling(self) -> tuple[tuple[int, int], float, int, bool]:
        """RoIAlign's arguments after features and boxes."""
        return self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned

    @property
    def attention(self) -> tuple[int, Tensor | None, Tensor | None, float]:
        """The attention's arguments."""
        return self.num_heads, self.weight, self.bias, self.logit_scale

    @property
    def longest(self) -> int:
        """The largest number of support frames of a video."""
        return max(self.support.lengths)


class Choice(NamedTuple):
    """What the backward pass needs of the forward pass.

    Attributes:
        sets: Tensor[R, h, w, C], X_t, channels last.
        scores: Tensor[T, R * h * w, K], the cosines of the chosen cells, best first. T is the
            largest number of support frames of a video; what a video does not have is zero.
        indices: Tensor[T, R * h * w, K], int32, the chosen cells as y * W + x.
    """

    sets: Tensor
    scores: Tensor
    indices: Tensor


class Gradients(NamedTuple):
    """Gradients of the inputs of a Problem.

    Attributes:
        features: Tensor[B, C, H, W].
        rows: Tensor[S, P, C], of the support maps.
        weight: As the weight, or None.
        bias: As the bias, or None.
    """

    features: Tensor
    rows: Tensor
    weight: Tensor | None
    bias: Tensor | None
