"""Which cells of the target map each RoI position is made of, and with what weight."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trovid.ops.roi_align import cells_of_positions


@dataclass(frozen=True, eq=False)
class CellReads:
    """RoIAlign as a sparse matrix: position m is the sum of `weights` times `rows[cell]`.

    Attributes:
        rows: Tensor[U, C], the cells that any position reads.
        cell: Tensor[E], the entries' cells as places in `rows`, position after position.
        position: Tensor[E], the entries' positions.
        weights: Tensor[E], above zero.
        offsets: Tensor[M], each position's first entry.
        bounds: The same as M + 1 numbers, with E in the end.
    """

    rows: Tensor
    cell: Tensor
    position: Tensor
    weights: Tensor
    offsets: Tensor
    bounds: list[int]


def read_cells(
    features: Tensor,
    boxes: Tensor,
    output_size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> CellReads | None:
    """The cells behind the positions of boxes on one map.

    Args:
        features: Tensor[C, H, W].
        boxes: Tensor[R, 4], in image pixels.
        output_size: (h, w) of the RoI grid.
        spatial_scale: Map pixels per image pixel.
        sampling_ratio: Samples per bin and axis.
        aligned: Shift by half a pixel.

    Returns:
        None where it would not pay: if positions are not more than the cells they read, or if the
        number of samples is not the same for all RoIs (`sampling_ratio` <= 0).
    """
    if sampling_ratio <= 0:
        return None
    pooling = output_size, spatial_scale, sampling_ratio, aligned
    height, width = features.shape[1:]
    cell, weight = cells_of_positions(boxes, (height, width), *pooling)
    read = weight > 0
    used, cell = cell[read].unique(return_inverse=True)
    if len(weight) <= len(used) or not len(used):
        return None
    counts = read.sum(dim=1)
    ends = counts.cumsum(0)
    return CellReads(
        rows=features.flatten(1).t()[used],
        cell=cell,
        position=torch.arange(len(weight), device=cell.device).repeat_interleave(counts),
        weights=weight[read],
        offsets=ends - counts,
        bounds=[0, *ends.tolist()],
    )
