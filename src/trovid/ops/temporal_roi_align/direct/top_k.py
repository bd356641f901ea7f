"""The K highest entries of each row, equal ones by the lowest index."""

from __future__ import annotations

import torch
from torch import Tensor


def top_k_of_rows(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` highest entries of each row, best first; ties go to the lowest index.

    `torch.topk` leaves open which of several equal entries it returns. So one more than `k` is
    asked for, and the rows in which two of these are equal are searched again, one pass an entry.

    Args:
        scores: Tensor[M, P].
        k: 1..P.

    Returns:
        values Tensor[M, k] and indices Tensor[M, k].
    """
    values, indices = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1).nonzero().squeeze(1)
    values, indices = values[:, :k], indices[:, :k]
    if len(tied):
        values[tied], indices[tied] = _one_by_one(scores[tied], k)
    return values, indices


def _one_by_one(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The same by k passes; torch documents that `max` returns the first of equal entries."""
    values, indices = [], []
    for _ in range(k):
        value, index = scores.max(dim=1, keepdim=True)
        values.append(value)
        indices.append(index)
        scores.scatter_(1, index, -torch.inf)
    return torch.cat(values, 1), torch.cat(indices, 1)
