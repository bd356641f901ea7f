"""Eq. 2 on a GPU: which cells, from products in blocks that stay in the L2 cache.

RoIAlign is linear, so the similarities of a position are combined of those of the few cells that
it reads. With many positions on a map it is cheaper to multiply cells with cells and to combine
what comes out; with few, positions with cells. One kernel ranks both.

On large maps, positions that are multiplied themselves are compared in a few directions first
(docs/operator.md, "Prefixes"), twice: the first time ranks the most promising cells, which tell how
similar the K best are at least; the second time lists the cells that may be as similar.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.ops.roi_align import cells_of_positions
from trovid.ops.temporal_roi_align.direct import selection
from trovid.ops.temporal_roi_align.packed import inverse_norms
from trovid.ops.temporal_roi_align.prefixes import (
    FEWEST_CELLS,
    SAMPLES,
    TRIED,
    Prefixes,
    most_compared,
    pay,
)
from trovid.ops.temporal_roi_align.problem import Problem
from trovid.ops.temporal_roi_align.triton.products import exact_products
from trovid.ops.temporal_roi_align.triton.survivors import best_of, collect
from trovid.ops.temporal_roi_align.triton.top_k import decode, new_keys, rank

PRODUCT_BYTES = 32 * 2**20
"""Size of a block of products: what a large GPU's L2 cache holds."""

MULTIPLICATIONS_A_TAP = 16
"""What reading and adding one product costs, in multiplications: from data sheets, unmeasured."""

FEWEST_CHANNELS = 128
"""With fewer, ranking and listing cost more than prefixes save: from data sheets, unmeasured."""

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

    @classmethod
    def alone(cls, positions: int, device: torch.device) -> _Taps:
        """Each position is a row of its own."""
        itself = torch.arange(positions, dtype=torch.int32, device=device)
        one = torch.ones_like(itself)
        return cls(itself.unsqueeze(1), one.unsqueeze(1).float(), one)


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
    combined = _combining_pays(problem, len(positions))
    if combined:
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
            left = cells / scale
            keys[:, index] = _ranked(left, taps, *searched, exact_half(left, rows))
    index = alone.nonzero().squeeze(1)
    if len(index):
        units = positions[index] * norms[index].unsqueeze(1)
        prefixes = None if combined else prefixes_for(units, *searched)
        if prefixes is None:
            keys[:, index] = by_all_channels(units, *searched)
        else:
            keys[:, index] = by_prefixes(prefixes, units, *searched)
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


def by_all_channels(units: Tensor, rows: Tensor, row_norms: Tensor, top_k: int) -> Tensor:
    """Keys Tensor[T, M, slots] of the best cells for vectors Tensor[M, C] of length 1 or 0."""
    taps = _Taps.alone(len(units), units.device)
    return _ranked(units, taps, rows, row_norms, top_k, exact_half(units, rows))


def prefixes_for(units: Tensor, rows: Tensor, row_norms: Tensor, top_k: int) -> Prefixes | None:
    """What helps to search a video's maps for these vectors, or None where it would not."""
    few = len(units) < 4 * TRIED or rows.shape[1] < FEWEST_CELLS
    if few or rows.shape[2] < FEWEST_CHANNELS:
        return None
    if not bool(units.sum().isfinite() & rows.sum().isfinite()):
        return None
    step = max(1, row_norms.numel() // SAMPLES)
    prefixes = Prefixes(rows.flatten(0, 1)[::step] * row_norms.flatten()[::step].unsqueeze(1))
    if not prefixes.usable:
        return None
    tried = units[:: max(1, len(units) // TRIED)].contiguous()
    seen = seen_in(prefixes, tried)
    _, proven = by_survivors(prefixes, tried, seen, rows[0], row_norms[0], top_k)
    return prefixes if pay(proven) else None


def by_prefixes(
    prefixes: Prefixes, units: Tensor, rows: Tensor, row_norms: Tensor, top_k: int
) -> Tensor:
    """What `by_all_channels` finds, by the cells that prefixes leave where these are few."""
    seen = seen_in(prefixes, units)
    found = []
    for frame in range(len(rows)):
        part = slice(frame, frame + 1)
        keys, proven = by_survivors(prefixes, units, seen, rows[frame], row_norms[frame], top_k)
        left = (~proven).nonzero().squeeze(1)
        if len(left):
            keys[:, left] = by_all_channels(units[left], rows[part], row_norms[part], top_k)
        found.append(keys)
    return torch.cat(found)


def by_survivors(
    prefixes: Prefixes, units: Tensor, seen: Tensor, rows: Tensor, row_norms: Tensor, top_k: int
) -> tuple[Tensor, Tensor]:
    """The best cells of one map, and where no other cell can be among them.

    Args:
        prefixes: A basis.
        units: Tensor[M, C].
        seen: What `seen_in` makes of them.
        rows: Tensor[P, C].
        row_norms: Tensor[P].
        top_k: K.

    Returns:
        keys Tensor[1, M, slots], proven Tensor[M] of bool.
    """
    compared = units, rows, row_norms, top_k
    cells = seen_in(prefixes, rows * row_norms.unsqueeze(1)).unsqueeze(0)
    first = min(2 * top_k, len(rows))
    taps = _Taps.alone(len(units), units.device)
    bounds = _ranked(seen, taps, cells, torch.ones_like(cells[..., 0]), first, None)
    promising = decode(bounds, first)[1][0].contiguous()
    scores, _ = decode(best_of(promising, first * taps.counts, *compared), top_k)
    # A cosine may be summed in another order the second time: another `norm_error`.
    least = scores[0, :, -1] - prefixes.margin - prefixes.norm_error
    counts = torch.zeros_like(taps.counts, dtype=torch.int64)
    survivors = taps.counts.new_empty(len(units), most_compared(top_k, len(rows)))
    for _, part, products in _blocks(seen, cells, None):
        collect(survivors, counts, products, least, part.start)
    proven = (counts >= top_k) & (counts <= survivors.shape[1])
    return best_of(survivors, counts, *compared), proven


def seen_in(prefixes: Prefixes, unit_vectors: Tensor) -> Tensor:
    """What bounds are products of, Tensor[M, m + 1], with zeros up to whole 16 bytes a row."""
    seen = prefixes.of(unit_vectors)
    return F.pad(seen, (0, -seen.shape[1] % 4))


def _ranked(
    left: Tensor,
    taps: _Taps,
    rows: Tensor,
    row_norms: Tensor,
    top_k: int,
    half: torch.dtype | None,
) -> Tensor:
    """Keys of the best cells for combinations of the rows of `left`, Tensor[L, C]."""
    keys = new_keys(len(rows), len(taps.counts), top_k, left.device)
    for frames, cells, products in _blocks(left, rows, half):
        rank(keys[frames], products, *taps, row_norms[frames, cells], cells.start)
    return keys


def _blocks(
    left: Tensor, rows: Tensor, half: torch.dtype | None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Products Tensor[L, T' * P'] of `left` with some frames' cells: which frames, which cells."""
    frames, cells, channels = rows.shape
    if half is not None:
        left = left.to(half)
    columns = max(1, PRODUCT_BYTES // (4 * len(left)))
    step, width = max(1, columns // cells), min(columns, cells)
    for frame in range(0, frames, step):
        for cell in range(0, cells, width):
            part = slice(frame, frame + step), slice(cell, cell + width)
            block = rows[part].reshape(-1, channels)
            yield *part, left @ block.t() if half is None else exact_products(left, block.to(half))


def exact_half(left: Tensor, rows: Tensor) -> torch.dtype | None:
    """The half-precision format, if any, that holds every value of both exactly."""
    # Triton's interpreter, on the CPU, multiplies bfloat16 as if it were integers.
    formats = (torch.bfloat16, torch.float16) if left.is_cuda else (torch.float16,)
    for dtype in formats:
        held = (torch.equal(part.to(dtype).to(part.dtype), part) for part in (left, *rows))
        if all(held):
            return dtype
    return None
