"""One call of the operator: checked, in one precision, as the custom ops and every backend take it.

A field here is named nowhere else on the way to a kernel: the schema of the custom ops and the
pointers that the native library receives are made from these lists.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Problem(NamedTuple):
    """What Temporal RoI Align is computed from; S support frames of B videos.

    Attributes:
        features: Tensor[B, C, H, W], float32 or float64, as are all others.
        rows: Tensor[S, P, C], the cells of the support maps, video after video.
        weight: Tensor[C, C/N, 3, 3] or Tensor[C, C, 3, 3]; None for the plain average.
        bias: Tensor[C] or None.
        inverse_norms: Tensor[S, P]: 1 / length of each row, 0 for a row of zero norm; of planes
            (rows that are a view of maps, which only the native backend reads) Tensor[S, 0].
        rois: Tensor[R, 5]: index of the video, x1, y1, x2, y2 in image pixels.
        basis: Tensor[B, D, C], for each video directions that hold most of its rows, or None.
        prefixes: Tensor[S, P, D], the unit rows as seen in their basis, or None.
        lengths: The number of support frames of each video; they sum to S.
        output_size: (h, w) of the RoI grid.
        spatial_scale: Map pixels per image pixel.
        sampling_ratio: RoIAlign's samples per bin and axis; <= 0: adaptive.
        aligned: RoIAlign's shift by half a pixel.
        top_k: K.
        num_heads: N; 0 for the plain average.
        logit_scale: Factor of the attention's logits.
        map_width: W of the support maps; 1 where the search is exact.
        square: Side of the squares of cells that are compared first, coarse to fine; 1: exactly.
        squares: How many of these, and then of their quarters, a position keeps.
    """

    features: Tensor
    rows: Tensor
    weight: Tensor | None
    bias: Tensor | None
    inverse_norms: Tensor
    rois: Tensor
    basis: Tensor | None
    prefixes: Tensor | None
    lengths: tuple[int, ...]
    output_size: tuple[int, int]
    spatial_scale: float
    sampling_ratio: int
    aligned: bool
    top_k: int
    num_heads: int
    logit_scale: float
    map_width: int
    square: int
    squares: int

    @property
    def pooling(self) -> tuple[tuple[int, int], float, int, bool]:
        """RoIAlign's arguments after features and boxes."""
        return self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned

    @property
    def attention(self) -> tuple[int, Tensor | None, Tensor | None, float]:
        """The attention's arguments."""
        return self.num_heads, self.weight, self.bias, self.logit_scale

    @property
    def search(self) -> tuple[int, int, int]:
        """What `check_search` found."""
        return self.map_width, self.square, self.squares


TENSORS = Problem._fields[: Problem._fields.index("lengths")]
"""The fields of a Problem that are tensors."""


class Selection(NamedTuple):
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
    """Gradients of the first fields of a Problem, those that have one.

    Attributes:
        features: Tensor[B, C, H, W].
        rows: Tensor[S, P, C].
        weight: As the weight, or None.
        bias: As the bias, or None.
    """

    features: Tensor
    rows: Tensor
    weight: Tensor | None
    bias: Tensor | None
