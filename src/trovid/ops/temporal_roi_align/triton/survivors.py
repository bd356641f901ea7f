"""Cells that prefixes do not exclude: listed for every position, compared in all channels."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from trovid.ops.temporal_roi_align.triton.top_k import key_of, new_keys

POSITIONS, CELLS = 16, 128
"""Block of one program that lists cells."""

COMPARED, CHANNELS = 64, 32
"""Block of one program that compares: cells, of one position or several, and channels."""


def collect(
    survivors: Tensor, counts: Tensor, bounds: Tensor, least: Tensor, first_cell: int
) -> None:
    """Append the cells whose bounds reach what is least wanted, in place and in their order.

    Args:
        survivors: Tensor[M, S], int32, contiguous: the first S cells of each position.
        counts: Tensor[M], int64 (older interpreters of Triton write sums so, whatever their type):
            how many there were so far, listed or not.
        bounds: Tensor[M, P'], contiguous.
        least: Tensor[M], float32.
        first_cell: The number of the first of the P' cells.
    """
    positions, cells = bounds.shape
    _collect[(triton.cdiv(positions, POSITIONS),)](
        survivors,
        counts,
        bounds,
        least,
        positions,
        cells,
        first_cell,
        survivors.shape[1],
        POSITIONS,
        CELLS,
    )


def best_of(
    cells: Tensor, counts: Tensor, units: Tensor, rows: Tensor, inverse_norms: Tensor, top_k: int
) -> Tensor:
    """Keys Tensor[1, M, slots] of the K best of the cells listed for each position.

    Args:
        cells: Tensor[M, S], int32, contiguous.
        counts: Tensor[M], integers: how many of the S count (more than S: all).
        units: Tensor[M, C], contiguous.
        rows: Tensor[P, C], contiguous.
        inverse_norms: Tensor[P], the factor of each cell.
        top_k: K.
    """
    keys = new_keys(1, len(units), top_k, units.device)
    width = triton.next_power_of_2(cells.shape[1])
    positions = max(1, COMPARED // width)
    _best[(triton.cdiv(len(units), positions),)](
        keys,
        cells,
        counts,
        units,
        rows,
        inverse_norms,
        len(units),
        cells.shape[1],
        rows.shape[1],
        top_k,
        keys.shape[2],
        positions,
        width,
        CHANNELS,
    )
    return keys


@triton.jit
def _collect(
    survivors,
    counts,
    bounds,
    least,
    positions,
    cells,
    first_cell,
    listed,
    POSITIONS: tl.constexpr,
    CELLS: tl.constexpr,
):
    m = tl.program_id(0) * POSITIONS + tl.arange(0, POSITIONS)
    inside = m < positions
    count = tl.load(counts + m, mask=inside, other=0)
    wanted = tl.load(least + m, mask=inside, other=0.0)
    row = m.to(tl.int64)[:, None]
    for start in range(0, cells, CELLS):
        n = start + tl.arange(0, CELLS)
        real = inside[:, None] & (n < cells)[None, :]
        bound = tl.load(bounds + row * cells + n[None, :], mask=real, other=0.0)
        found = (real & (bound >= wanted[:, None])).to(tl.int32)
        place = count[:, None] + tl.cumsum(found, axis=1) - 1
        kept = (found > 0) & (place < listed)
        cell = tl.broadcast_to((first_cell + n)[None, :], [POSITIONS, CELLS])
        tl.store(survivors + row * listed + place, cell, mask=kept)
        count += tl.sum(found, axis=1)
    tl.store(counts + m, count, mask=inside)


@triton.jit
def _best(
    keys,
    candidates,
    counts,
    units,
    rows,
    inverse_norms,
    positions,
    listed,
    C,
    K: tl.constexpr,
    SLOTS: tl.constexpr,
    POSITIONS: tl.constexpr,
    LISTED: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    lowest: tl.constexpr = -(2**63)
    m = tl.program_id(0).to(tl.int64) * POSITIONS + tl.arange(0, POSITIONS)
    inside = m < positions
    s = tl.arange(0, LISTED)[None, :]
    count = tl.minimum(tl.load(counts + m, mask=inside, other=0), listed)
    real = s < count[:, None]
    cell = tl.load(candidates + m[:, None] * listed + s, mask=real, other=0)
    row = (cell.to(tl.int64) * C)[:, :, None]
    total = tl.zeros([POSITIONS, LISTED, CHANNELS], tl.float32)
    for start in range(0, C, CHANNELS):
        c = start + tl.arange(0, CHANNELS)
        mask = inside[:, None] & (c < C)[None, :]
        unit = tl.load(units + m[:, None] * C + c[None, :], mask=mask, other=0.0)
        mask = real[:, :, None] & (c < C)[None, None, :]
        total += unit[:, None, :] * tl.load(rows + row + c[None, None, :], mask=mask, other=0.0)
    score = tl.sum(total, axis=2) * tl.load(inverse_norms + cell, mask=real, other=0.0)
    key = tl.where(real, key_of(score, cell), lowest)
    for k in range(K):
        best = tl.max(key, axis=1)
        tl.store(keys + m * SLOTS + k, best, mask=inside)
        key = tl.where(key == best[:, None], lowest, key)
