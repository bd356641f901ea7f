"""The processes that share a training, as torchrun starts them."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from trovid.errors import TrovidError


@dataclass(frozen=True)
class Processes:
    """This process among those that share a training.

    Attributes:
        rank: Its number, from 0; process 0 writes files and speaks.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.rank == 0

    def share(self, clips: int) -> range:
        """Which of a step's clips are this process's: a run of them, all runs nearly equally long.

        Raises:
            TrovidError: If there are fewer clips than processes.

        Example:
            >>> [Processes(rank, 3).share(8) for rank in range(3)]
            [range(0, 2), range(2, 5), range(5, 8)]
        """
        if clips < self.count:
            raise TrovidError(
                f"training.batch is {clips}, but {self.count} processes share it: start fewer, or "
                "begin a new training with a larger batch"
            )
        return range(self.rank * clips // self.count, (self.rank + 1) * clips // self.count)

    def wait(self) -> None:
        """Waits until all are here."""
        if self.count > 1:
            dist.barrier()

    def any(self, wish: bool, device: torch.device) -> bool:
        """Whether one of them wishes something; every process must ask."""
        if self.count == 1:
            return wish
        flag = torch.tensor(float(wish), device=device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag.item())

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over all processes; every process must ask."""
        if self.count == 1:
            return values
        values = values.clone()
        dist.all_reduce(values)
        return values / self.count


ALONE = Processes()
LOST = re.compile(r"connection (closed|reset)|connection was (closed|reset)|broken pipe", re.I)
"""What Gloo and NCCL say when another process is gone."""


@contextmanager
def started_processes(device: torch.device) -> Generator[Processes]:
    """The processes that torchrun started, or this one alone; they speak while it lasts.

    Over NCCL on GPUs, else over Gloo.

    Raises:
        TrovidError: If this torch cannot, or the variables that torchrun sets are not whole; while
            it lasts, if another process is gone.
    """
    words = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE")}
    if not words["WORLD_SIZE"] or words["WORLD_SIZE"] == "1":
        yield ALONE
        return
    if not dist.is_available():
        raise TrovidError("this build of torch knows no several processes: start one alone")
    try:
        processes = Processes(int(words["RANK"] or ""), int(words["WORLD_SIZE"] or ""))
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (ValueError, RuntimeError) as error:
        raise TrovidError(f"the processes do not meet ({error}): start them by torchrun") from error
    try:
        yield processes
    except RuntimeError as error:
        if not LOST.search(str(error)):
            raise
        raise TrovidError(
            "another process of this training has ended: see what that one said, and start all "
            "again, which goes on from the checkpoint"
        ) from error
    finally:
        dist.destroy_process_group()
