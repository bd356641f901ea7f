"""The basis that frames have in common where supports are put together (docs/operator.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from trovid.ops.temporal_roi_align.packed import PackedSupport

_OUTDATED = 1.4
"""A basis is made anew where it leaves so many times what the parts' own leave, in squares.

On SynthVID a basis of the same clip leaves 1.1 to 1.3 times as much, one of another clip 1.4 to
1.8.
"""


def most_common_basis(bases: Tensor, lengths: Sequence[int]) -> Tensor:
    """The basis Tensor[D, C] of Tensor[B, D, C] that the most frames have; the first of equals."""
    distinct: list[Tensor] = []
    frames: list[int] = []
    for basis, length in zip(bases, lengths, strict=True):
        same = [i for i, other in enumerate(distinct) if torch.equal(basis, other)]
        if same:
            frames[same[0]] += length
        else:
            distinct.append(basis)
            frames.append(length)
    return distinct[frames.index(max(frames))]


def is_outdated(parts: Sequence[PackedSupport], prefixes: Sequence[Tensor]) -> bool:
    """Whether prefixes in a common basis leave too much of the parts that had another."""
    cells, left, own_left = 0, 0.0, 0.0
    for part, common in zip(parts, prefixes, strict=True):
        if part.prefixes is None or part.prefixes is common:
            continue
        cells += int((part.inverse_norms > 0).sum())
        left -= float(common.square().sum(dtype=torch.float64))
        own_left -= float(part.prefixes.square().sum(dtype=torch.float64))
    return left + cells > _OUTDATED * (own_left + cells) + 1e-4 * cells
