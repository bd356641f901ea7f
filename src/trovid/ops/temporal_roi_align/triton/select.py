"""Eq. 2 on a GPU: which cells, from products in blocks that stay in the L2 cache.

RoIAlign is linear, so the similarities of a position are combined of those of the few cells that
it reads. With many positions on a map it is cheaper to multiply cells with cells and to combine
what comes out; with few, positions with cells. One kernel ranks both.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trovid.ops.roi_align import cells_of_positions
from trovid.ops.temporal_roi_align.direct import selection
from trovid.ops.temporal_roi_align.packed import inverse_norms
from trovid.ops.temporal_roi_align.problem import Problem
from trovid.ops.temporal_roi_align.triton.products import exact_products
from trovid.ops.temporal_roi_align.triton.top_k import decode, new_keys, rank

PRODUCT_BYTES = 32 * 2**20
"""Size of a block of products: what a large GPU's L2 cache holds."""

MULTIPLICATIONS_A_TAP = 16
"""What reading and adding one product costs, in multiplications: from data sheets, unmeasured."""

_LARGEST_CANCELLATION = 8.0
"""How much longer than its sum a combination's terms may be: rounding grows by as much."""

_LARGEST_LENGTH = 2.0**40
"""Longer features are scaled down, so that no product of theirs overflows."""


class _Taps(NamedTuple):
    """What positions are combined of.

    Attributes:
        rows: Tensor[M, J], int32, rows of a matrix, those that count first.
        weights: Tensor[M, J].
        counts: Tensor[M], int32, how many of the J count.
    """

    rows: Tensor
    weights: Tensor
    counts: Tensor


def select(
    problem: Problem, rois: Tensor, positions: Tensor, rows: Tensor, row_norms: Tensor
) -> tuple[Tensor, Tensor]:
    """The K most similar cells of the positions of one video's RoIs.

    Args:
        problem: The problem that they belong to.
        rois: Tensor[R', 5], the video's RoIs, at least one.
        positions: Tensor[M, C], their features, M = R' * h * w.
        rows: Tensor[T, P, C], the video's support maps.
        row_norms: Tensor[T, P], their inverse norms.

    Returns:
        scores Tensor[T, M, K], best first, and cells Tensor[T, M, K], int32.
    """
    if problem.square > 1:
        searched = rows, row_norms, [len(positions)], problem.top_k
        scores, indices = selection.select(positions, *searched, search=problem.search)
        return scores, (indices % rows.shape[1]).int()
    searched = (rows, row_norms, problem.top_k)
    norms = inverse_norms(positions)
    keys = new_keys(len(rows), len(positions), problem.top_k, positions.device)
    alone = torch.ones_like(norms, dtype=torch.bool)
    if _combining_pays(problem, len(positions)):
        cells = problem.features[rois[0, 0].long()].flatten(1).t().contiguous()
        lengths = torch.linalg.vector_norm(cells, dim=1)
        taps = _taps(problem, rois)
        spread = (taps.weights * lengths[taps.rows.long()]).sum(dim=1) * norms
        # So that NaN, infinities and features without direction stand alone as well.
        alone = ~((spread <= _LARGEST_CANCELLATION) & (norms > 0))
        index = (~alone).nonzero().squeeze(1)
        if len(index):
            longest = torch.where(lengths.isfinite(), lengths, 0.0).amax()
            scale = torch.where(longest > _LARGEST_LENGTH, longest, 1.0)
            taps = taps._replace(weights=taps.weights * (norms * scale).unsqueeze(1))
            taps = _Taps(*(tensor[index] for tensor in taps))
            keys[:, index] = _ranked(cells / scale, taps, *searched)
    index = alone.nonzero().squeeze(1)
    if len(index):
        itself = torch.arange(len(index), dtype=torch.int32, device=index.device)
        one = torch.ones_like(itself)
        taps = _Taps(itself.unsqueeze(1), one.unsqueeze(1).float(), one)
        unit = positions[index] * norms[index].unsqueeze(1)
        keys[:, index] = _ranked(unit, taps, *searched)
    return decode(keys, problem.top_k)


def _combining_pays(problem: Problem, positions: int) -> bool:
    if problem.sampling_ratio <= 0:
        return False
    channels, *size = problem.features.shape[1:]
    taps = (2 * problem.sampling_ratio) ** 2
    combined = size[0] * size[1] * channels + positions * taps * MULTIPLICATIONS_A_TAP
    return combined < positions * channels


def _taps(problem: Problem, rois: Tensor) -> _Taps:
    """The cells y * W + x of the target's map that RoIAlign combines to each position."""
    height, width = problem.features.shape[2:]
    cells, weights = cells_of_positions(rois[:, 1:], (height, width), *problem.pooling)
    weights, order = weights.sort(dim=1, descending=True)
    cells = cells.gather(1, order).int()
    return _Taps(cells, weights, (weights > 0).sum(dim=1, dtype=torch.int32))


def _ranked(left: Tensor, taps: _Taps, rows: Tensor, row_norms: Tensor, top_k: int) -> Tensor:
    """Keys of the best cells for combinations of the rows of `left`, Tensor[L, C]."""
    frames, cells, channels = rows.shape
    half = exact_half(left, rows)
    if half is not None:
        left = left.to(half)
    keys = new_keys(frames, len(taps.counts), top_k, left.device)
    columns = max(1, PRODUCT_BYTES // (4 * len(left)))
    step, width = max(1, columns // cells), min(columns, cells)
    for frame in range(0, frames, step):
        for cell in range(0, cells, width):
            part = slice(frame, frame + step), slice(cell, cell + width)
            block = rows[part].reshape(-1, channels)
            products = left @ block.t() if half is None else exact_products(left, block.to(half))
            rank(keys[part[0]], products, *taps, row_norms[part], cell)
    return keys


def exact_half(left: Tensor, rows: Tensor) -> torch.dtype | None:
    """The half-precision format, if any, that holds every value of both exactly."""
    # Triton's interpreter, on the CPU, multiplies bfloat16 as if it were integers.
    formats = (torch.bfloat16, torch.float16) if left.is_cuda else (torch.float16,)
    for dtype in formats:
        held = (torch.equal(part.to(dtype).to(part.dtype), part) for part in (left, *rows))
        if all(held):
            return dtype
    return None
