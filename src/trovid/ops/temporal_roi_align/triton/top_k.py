"""The K most similar cells of every position: similarities are combined and ranked on the way.

A similarity is a combination of a few rows of a matrix of products (of the target's cells with the
support's, or of the positions themselves with the support's). The matrix is made in blocks that
stay in the L2 cache; the similarities live in registers only.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

POSITIONS, CELLS = 16, 128
"""Block of one program."""

_LAST = 2**31 - 1


def new_keys(frames: int, positions: int, top_k: int, device: torch.device) -> Tensor:
    """No candidate yet: Tensor[T, M, slots], int64.

    A candidate is a key, its similarity's bits in the upper half and its cell, counted backward,
    in the lower one: of equal similarities the lowest cell has the highest key. A slot beyond K
    holds a key that nothing displaces.
    """
    slots = torch.full((triton.next_power_of_2(top_k),), torch.iinfo(torch.int64).max)
    slots[:top_k] = torch.iinfo(torch.int64).min + torch.arange(top_k)
    return slots.to(device).repeat(frames, positions, 1)


def decode(keys: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Scores Tensor[T, M, K], best first, and cells Tensor[T, M, K], int32, of keys."""
    keys = keys[..., :top_k].sort(dim=2, descending=True).values
    bits = (keys >> 32).int()
    bits ^= (bits >> 31) & _LAST
    return bits.view(torch.float32), (_LAST - (keys & _LAST)).int()


def rank(
    keys: Tensor,
    products: Tensor,
    taps: Tensor,
    weights: Tensor,
    counts: Tensor,
    inverse_norms: Tensor,
    first_cell: int,
) -> None:
    """Take the cells of a block of products into the keys, in place.

    Args:
        keys: Tensor[T, M, slots], contiguous.
        products: Tensor[L, T * P'], rows that similarities are combined of; P' cells a frame.
        taps: Tensor[M, J], int32, the rows of each position, those that count first.
        weights: Tensor[M, J], float32.
        counts: Tensor[M], int32, how many of the J count.
        inverse_norms: Tensor[T, P'], the factor of each cell.
        first_cell: The number of the first of the P' cells.
    """
    frames, positions, slots = keys.shape
    _rank[(triton.cdiv(positions, POSITIONS), frames)](
        keys,
        products,
        taps,
        weights,
        counts,
        inverse_norms,
        positions,
        inverse_norms.shape[1],
        first_cell,
        products.stride(0),
        inverse_norms.stride(0),
        taps.shape[1],
        slots,
        POSITIONS,
        CELLS,
    )


@triton.jit
def key_of(score, cell):
    """Keys, as `new_keys` describes them, of similarities and the numbers of their cells."""
    # Bits that are ordered as the similarities are: both zeros equal, NaN above all.
    bits = tl.where(score == 0.0, 0.0, score).to(tl.int32, bitcast=True)
    bits = tl.where(score != score, 0x7FC00000, bits)
    bits ^= (bits >> 31) & 0x7FFFFFFF
    return (bits.to(tl.int64) << 32) | (0x7FFFFFFF - cell).to(tl.int64)


@triton.jit
def _rank(
    keys,
    products,
    taps,
    weights,
    counts,
    inverse_norms,
    positions,
    cells,
    first_cell,
    product_stride,
    norm_stride,
    J: tl.constexpr,
    SLOTS: tl.constexpr,
    POSITIONS: tl.constexpr,
    CELLS: tl.constexpr,
):
    lowest: tl.constexpr = -(2**63)
    frame = tl.program_id(1).to(tl.int64)
    m = tl.program_id(0) * POSITIONS + tl.arange(0, POSITIONS)
    inside = m < positions
    places = keys + (frame * positions + m)[:, None] * SLOTS + tl.arange(0, SLOTS)[None, :]
    best = tl.load(places, mask=inside[:, None], other=2**63 - 1)
    worst = tl.min(best, axis=1)
    count = tl.load(counts + m, mask=inside, other=0)
    most = tl.max(count, axis=0)
    products += frame * cells
    for start in range(0, cells, CELLS):
        n = start + tl.arange(0, CELLS)
        real = n < cells
        score = tl.zeros([POSITIONS, CELLS], tl.float32)
        for tap in range(most):
            counts_here = inside & (tap < count)
            row = tl.load(taps + m * J + tap, mask=counts_here, other=0).to(tl.int64)
            weight = tl.load(weights + m * J + tap, mask=counts_here, other=0.0)
            place = products + row[:, None] * product_stride + n[None, :]
            product = tl.load(place, mask=counts_here[:, None] & real[None, :], other=0.0)
            score += weight[:, None] * product
        score *= tl.load(inverse_norms + frame * norm_stride + n, mask=real, other=0.0)[None, :]

        key = key_of(score, (first_cell + n)[None, :])
        key = tl.where(real[None, :], key, lowest)

        candidate = tl.max(key, axis=1)
        while tl.max((candidate > worst).to(tl.int32), axis=0) > 0:
            displaced = (best == worst[:, None]) & (candidate > worst)[:, None]
            best = tl.where(displaced, candidate[:, None], best)
            key = tl.where(key == candidate[:, None], lowest, key)
            worst = tl.min(best, axis=1)
            candidate = tl.max(key, axis=1)
    tl.store(places, best, mask=inside[:, None])
