"""The temporal attention over sets that are never stored: their rows are gathered where needed.

With psi absorbed into the target, `V = psi^T psi(X_t)`, the logit of a set Y at position m is the
sum, over the 3x3 neighbours m + d, of the inner products of V(m, d) with Y(m + d). Positions are
those of several RoIs in a row, h * w each. N heads lie in G groups of D channels that V spans: one
head a group in the grouped form (D = C/N), all heads in one group in the dense form (D = C).
"""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

POSITIONS, CHANNELS = 32, 64
"""Block of one program."""


class Sets(NamedTuple):
    """Most similar features as what they are summed of.

    Attributes:
        rows: Tensor[..., C], contiguous.
        indices: Tensor[T, M, K], int64, contiguous: which rows (counted over all leading axes).
        shares: Tensor[T, M, K], contiguous: their weights.
        grid: (h, w), the grid of the RoIs that the M positions come from.
    """

    rows: Tensor
    indices: Tensor
    shares: Tensor
    grid: tuple[int, int]


def neighbour_products(sets: Sets, absorbed: Tensor) -> Tensor:
    """Logits Tensor[T, N, M]: inner products of the sets with the absorbed target.

    Args:
        sets: Of M positions in T frames.
        absorbed: Tensor[N, M, 9, D], the 3x3 offsets row by row; or Tensor[N, M, 1, D], for inner
            products without the neighbours.
    """
    heads, positions, offsets, width = absorbed.shape
    frames, channels = len(sets.indices), sets.rows.shape[-1]
    groups = channels // width
    block = min(CHANNELS, triton.next_power_of_2(width))
    tiles = triton.cdiv(width, block)
    # What the neighbours outside a RoI would add stays zero.
    parts = sets.shares.new_zeros(frames, tiles, offsets, heads, positions)
    _neighbour_products[(triton.cdiv(positions, POSITIONS), frames, groups * tiles)](
        sets.rows,
        sets.indices,
        sets.shares,
        absorbed,
        parts,
        positions,
        *sets.grid,
        channels,
        width,
        tiles,
        sets.indices.shape[2],
        heads,
        heads // groups,
        offsets,
        POSITIONS,
        block,
    )
    return parts.sum(dim=(1, 2))


def mix(sets: Sets, weights: Tensor, width: int, *, neighbours: bool = False) -> Tensor:
    """Weighted sums over frames: Tensor[N, M, 1, D], or [N, M, 9, D] at the 3x3 neighbours.

    Args:
        sets: Of M positions in T frames.
        weights: Tensor[T, N, M].
        width: D. Head n sums the channels of its group.
        neighbours: Sum the sets at m + d for each of the 9 offsets d, with the weights at m.
    """
    frames, heads, positions = weights.shape
    channels, offsets = sets.rows.shape[-1], 9 if neighbours else 1
    block = min(CHANNELS, triton.next_power_of_2(width))
    tiles = triton.cdiv(width, block)
    result = sets.shares.new_empty(heads, positions, offsets, width)
    _mix[(triton.cdiv(positions, POSITIONS), offsets, heads * tiles)](
        sets.rows,
        sets.indices,
        sets.shares,
        weights.contiguous(),
        result,
        frames,
        positions,
        *sets.grid,
        channels,
        width,
        tiles,
        sets.indices.shape[2],
        heads,
        heads // (channels // width),
        offsets,
        POSITIONS,
        block,
    )
    return result


def spread(
    absorbed: Tensor,
    grad_logits: Tensor,
    weights: Tensor,
    grad_output: Tensor,
    grid: tuple[int, int],
) -> Tensor:
    """The gradient of the sets, Tensor[T, M, C]: through the logits and as what is summed.

    Args:
        absorbed: Tensor[N, M, 9, D].
        grad_logits: Tensor[T, N, M].
        weights: Tensor[T, N, M].
        grad_output: Tensor[M, C].
        grid: (h, w).
    """
    heads, positions, _, width = absorbed.shape
    frames, channels = len(weights), grad_output.shape[1]
    groups = channels // width
    block = min(CHANNELS, triton.next_power_of_2(width))
    tiles = triton.cdiv(width, block)
    result = grad_output.new_empty(frames, positions, channels)
    _spread[(triton.cdiv(positions, POSITIONS), frames, groups * tiles)](
        absorbed,
        grad_logits.contiguous(),
        weights.contiguous(),
        grad_output,
        result,
        positions,
        *grid,
        channels,
        width,
        tiles,
        heads,
        heads // groups,
        POSITIONS,
        block,
    )
    return result


@triton.jit
def _shifted(m, positions, height, width, dy, dx):
    """Positions moved by an offset within their RoI, and whether they are still inside."""
    y = (m // width) % height + dy
    x = m % width + dx
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width) & (m < positions)
    return m + dy * width + dx, inside


@triton.jit
def _summed_rows(rows, indices, shares, places, inside, channels, wanted, C, K: tl.constexpr):
    """The set at some places of Tensor[T * M, K]: [places, channels]."""
    mask = inside[:, None] & wanted[None, :]
    total = tl.zeros([places.shape[0], channels.shape[0]], tl.float32)
    for k in range(K):
        row = tl.load(indices + places * K + k, mask=inside, other=0)
        share = tl.load(shares + places * K + k, mask=inside, other=0.0)
        values = tl.load(rows + row[:, None] * C + channels[None, :], mask=mask, other=0.0)
        total += share[:, None] * values
    return total


@triton.jit
def _neighbour_products(
    rows,
    indices,
    shares,
    absorbed,
    parts,
    positions,
    height,
    width,
    C,
    D,
    tiles,
    K: tl.constexpr,
    HEADS: tl.constexpr,
    HEADS_OF_GROUP: tl.constexpr,
    OFFSETS: tl.constexpr,
    POSITIONS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    frame = tl.program_id(1).to(tl.int64)
    group = tl.program_id(2) // tiles
    tile = tl.program_id(2) % tiles
    p = tl.program_id(0) * POSITIONS + tl.arange(0, POSITIONS)
    c = tile * CHANNELS + tl.arange(0, CHANNELS)
    wanted = c < D
    channels = group * D + c
    here = frame * positions + p
    features = _summed_rows(rows, indices, shares, here, p < positions, channels, wanted, C, K)
    for offset in range(OFFSETS):
        # The set at p is the neighbour of the position at p - offset.
        dy = offset // 3 - 1 if OFFSETS == 9 else 0
        dx = offset % 3 - 1 if OFFSETS == 9 else 0
        m, inside = _shifted(p, positions, height, width, -dy, -dx)
        for head in range(group * HEADS_OF_GROUP, (group + 1) * HEADS_OF_GROUP):
            place = ((head * positions + m) * OFFSETS + offset).to(tl.int64) * D
            mask = inside[:, None] & wanted[None, :]
            target = tl.load(absorbed + place[:, None] + c[None, :], mask=mask, other=0.0)
            part = ((frame * tiles + tile) * OFFSETS + offset) * HEADS + head
            product = tl.sum(target * features, axis=1)
            tl.store(parts + part * positions + m, product, mask=inside)


@triton.jit
def _mix(
    rows,
    indices,
    shares,
    weights,
    result,
    frames,
    positions,
    height,
    width,
    C,
    D,
    tiles,
    K: tl.constexpr,
    HEADS: tl.constexpr,
    HEADS_OF_GROUP: tl.constexpr,
    OFFSETS: tl.constexpr,
    POSITIONS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    offset = tl.program_id(1)
    head = tl.program_id(2) // tiles
    m = tl.program_id(0) * POSITIONS + tl.arange(0, POSITIONS)
    c = (tl.program_id(2) % tiles) * CHANNELS + tl.arange(0, CHANNELS)
    wanted = c < D
    channels = (head // HEADS_OF_GROUP) * D + c
    dy = offset // 3 - 1 if OFFSETS == 9 else 0
    dx = offset % 3 - 1 if OFFSETS == 9 else 0
    p, inside = _shifted(m, positions, height, width, dy, dx)
    total = tl.zeros([POSITIONS, CHANNELS], tl.float32)
    for frame in range(frames):
        weight = tl.load(weights + (frame * HEADS + head) * positions + m, mask=inside, other=0.0)
        places = frame * positions + p
        features = _summed_rows(rows, indices, shares, places, inside, channels, wanted, C, K)
        total += weight[:, None] * features
    place = ((head * positions + m) * OFFSETS + offset).to(tl.int64) * D
    mask = (m < positions)[:, None] & wanted[None, :]
    tl.store(result + place[:, None] + c[None, :], total, mask=mask)


@triton.jit
def _spread(
    absorbed,
    grad_logits,
    weights,
    grad_output,
    result,
    positions,
    height,
    width,
    C,
    D,
    tiles,
    HEADS: tl.constexpr,
    HEADS_OF_GROUP: tl.constexpr,
    POSITIONS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    frame = tl.program_id(1)
    group = tl.program_id(2) // tiles
    p = tl.program_id(0) * POSITIONS + tl.arange(0, POSITIONS)
    c = (tl.program_id(2) % tiles) * CHANNELS + tl.arange(0, CHANNELS)
    wanted = c < D
    channels = group * D + c
    here = (p < positions)[:, None] & wanted[None, :]
    head_of_channel = channels // (C // HEADS)
    place = p.to(tl.int64)[:, None] * C + channels[None, :]
    weight = tl.load(
        weights + (frame * HEADS + head_of_channel)[None, :] * positions + p[:, None],
        mask=here,
        other=0.0,
    )
    total = weight * tl.load(grad_output + place, mask=here, other=0.0)
    for offset in range(9):
        m, inside = _shifted(p, positions, height, width, 1 - offset // 3, 1 - offset % 3)
        for head in range(group * HEADS_OF_GROUP, (group + 1) * HEADS_OF_GROUP):
            grad = tl.load(
                grad_logits + (frame * HEADS + head) * positions + m, mask=inside, other=0.0
            )
            target = ((head * positions + m) * 9 + offset).to(tl.int64) * D
            mask = inside[:, None] & wanted[None, :]
            values = tl.load(absorbed + target[:, None] + c[None, :], mask=mask, other=0.0)
            total += grad[:, None] * values
    place += frame.to(tl.int64) * positions * C
    tl.store(result + place, total, mask=here)
