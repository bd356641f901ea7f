"""Counts that all parts of a training step share, by which losses are divided."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.distributed as dist
from torch import Tensor


class PartCounts:
    """Counts of a step that a process goes through in parts, in the order in which a part asks.

    First all parts are counted (`counted`), then each is divided by the counts of all (`shared`).
    """

    def __init__(self) -> None:
        self._counts: list[float] = []
        self._totals: list[float] = []
        self._asked = 0

    @contextmanager
    def counted(self) -> Generator[None]:
        """While it lasts, one part is counted."""
        self._asked, token = 0, _parts.set(self)
        try:
            yield
        finally:
            _parts.reset(token)

    @contextmanager
    def shared(self, like: Tensor) -> Generator[None]:
        """While it lasts, losses are divided by the counts of all parts of all processes.

        Args:
            like: A tensor on the device that the processes speak over.
        """
        if not self._totals:
            self._totals = _over_processes(self._counts, like)
        with self.counted():
            yield

    def share(self, count: int) -> float:
        """What stands for a count: itself while parts are counted, then that of all."""
        place = self._asked
        self._asked += 1
        if self._totals:
            return self._totals[place]
        if place == len(self._counts):
            self._counts.append(0.0)
        self._counts[place] += count
        return max(count, 1)


_parts: ContextVar[PartCounts | None] = ContextVar("parts", default=None)


def shared_count(count: int, like: Tensor) -> float:
    """By what a sum over `count` things is divided to be a mean over all parts of a step.

    DistributedDataParallel takes the mean of the processes' gradients, so that is the mean of
    their counts; gradients of a process's own parts (`PartCounts`) are added. Every process and
    every part must ask, in the same order.

    Args:
        count: How many there are here.
        like: A tensor on the device that the processes speak over.

    Returns:
        At least 1 where there is one process.
    """
    parts = _parts.get()
    return _over_processes([count], like)[0] if parts is None else parts.share(count)


def _over_processes(counts: list[float] | list[int], like: Tensor) -> list[float]:
    if not (dist.is_available() and dist.is_initialized()):
        return [max(count, 1) for count in counts]
    totals = torch.tensor(counts, dtype=torch.float32, device=like.device)
    dist.all_reduce(totals)
    return [max(total, 1.0) / dist.get_world_size() for total in totals.tolist()]
