"""The K highest entries of each row, equal ones by the lowest index."""

from __future__ import annotations

import torch
from torch import Tensor


def top_k_lowest_index(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` highest entries of each row, best first; ties go to the lowest index.

    `torch.topk` leaves open which of several equal entries it returns.

    Args:
        scores: Tensor[M, P]; its contents are overwritten.
        k: 1..P.

    Returns:
        values Tensor[M, k] and indices Tensor[M, k].
    """
    values, indices = [], []
    for step in range(k):
        value, index = scores.max(dim=1, keepdim=True)
        values.append(value)
        indices.append(index)
        if step + 1 < k:
            scores.scatter_(1, index, -torch.inf)
    return torch.cat(values, 1), torch.cat(indices, 1)
