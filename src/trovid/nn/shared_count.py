"""Counts that the processes of a training share, by which losses are divided."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def shared_count(count: int, like: Tensor) -> float:
    """By what a sum over `count` things of this process is divided to be a mean over all processes.

    DistributedDataParallel takes the mean of the processes' gradients, so that is the mean of
    their counts. Every process must ask, in the same order.

    Args:
        count: How many there are here.
        like: A tensor on the device that the processes speak over.

    Returns:
        At least 1 where there is one process.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return max(count, 1)
    total = torch.tensor(float(count), device=like.device)
    dist.all_reduce(total)
    return max(total.item(), 1.0) / dist.get_world_size()
