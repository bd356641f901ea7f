"""The K highest entries of each column, equal ones by the lowest index."""

from __future__ import annotations

import torch
from torch import Tensor

_LEAF = 48
"""Columns of this length are searched directly."""


def top_k_of_columns(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` highest entries of each column, best first; ties go to the lowest index.

    `torch.topk` leaves open which of several equal entries it returns, and is slow for many short
    lists. Here a column is cut into groups of consecutive entries. Its K best lie in the K groups
    that come first by (highest entry, lowest index): were one in another group, the best entries
    of K groups would come before it. So the groups' maxima (a fast reduction) are searched first,
    and then the entries of K groups.

    Args:
        scores: Tensor[P, M]; its contents may be overwritten.
        k: 1..P.

    Returns:
        values Tensor[k, M] and indices Tensor[k, M] in 0..P-1.
    """
    length, columns = scores.shape
    if length <= max(_LEAF, 2 * k):
        return _one_by_one(scores, k)
    size = group_size(length, k)
    if length % size:
        padding = (0, 0, 0, -length % size)
        scores = torch.nn.functional.pad(scores, padding, value=-torch.inf)
    groups = scores.view(-1, size, columns)
    _, best_groups = top_k_of_columns(groups.amax(dim=1), k)
    best_groups = best_groups.sort(dim=0).values
    inside = best_groups.unsqueeze(1).expand(-1, size, -1)
    values, places = top_k_of_columns(groups.gather(0, inside).flatten(0, 1), k)
    group_of_place = torch.div(places, size, rounding_mode="floor")
    indices = best_groups.gather(0, group_of_place) * size + places % size
    return values, indices.clamp_(max=length - 1)


def group_size(length: int, k: int) -> int:
    """Entries in a group, such that about as many groups as entries of K groups are searched."""
    return max(2, round((length / k) ** 0.5))


def _one_by_one(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    values, indices = [], []
    for step in range(k):
        value, index = scores.max(dim=0, keepdim=True)
        values.append(value)
        indices.append(index)
        if step + 1 < k:
            scores.scatter_(0, index, -torch.inf)
    return torch.cat(values), torch.cat(indices)
