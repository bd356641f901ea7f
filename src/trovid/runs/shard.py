"""Which part of the videos a process takes: i of n, by the name of each video."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from trovid.errors import OptionError

SLURM = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN")
TORCHRUN = ("RANK", "WORLD_SIZE")


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 0) of `count`.

    A video's part is told by the sha256 of its path relative to the input root, so that every
    process finds its own without asking another, on any machine and in any order.

    Example:
        >>> [Shard(i, 2).holds("kitchen/P01.mp4") for i in (0, 1)]
        [False, True]
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise OptionError(
                "`shard` must be i/n with i from 0 to n - 1 (0/4, 1/4, 2/4, 3/4), "
                f"but is {self.index}/{self.count}"
            )

    def holds(self, path: str) -> bool:
        """Whether a video belongs to this part.

        Args:
            path: Relative to the input root, with /.
        """
        digest = sha256(path.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest, "big") % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str] = os.environ) -> Shard:
        """A shard as it is typed.

        Args:
            text: "i/n", or "auto": the tasks of a Slurm array (SLURM_ARRAY_TASK_ID, _COUNT, _MIN),
                the processes of torchrun (RANK, WORLD_SIZE), or both: the processes of each task.
            environment: Where "auto" reads.

        Raises:
            OptionError: If it is neither, or the environment does not tell.
        """
        if text == "auto":
            return _from_environment(environment)
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if found is None:
            raise OptionError(f"`shard` must be i/n, such as 0/4, or auto, but is {text!r}")
        return cls(int(found[1]), int(found[2]))


def _from_environment(environment: Mapping[str, str]) -> Shard:
    array, launched = SLURM[0] in environment, TORCHRUN[0] in environment
    if not array and not launched:
        raise OptionError(
            "`shard` auto needs SLURM_ARRAY_TASK_ID (a Slurm array) or RANK (torchrun), "
            "but neither is set; give i/n"
        )
    index, count = 0, 1
    if array:
        task, count, first = (_number(environment, name) for name in SLURM)
        step = _number({"SLURM_ARRAY_TASK_STEP": "1", **environment}, "SLURM_ARRAY_TASK_STEP")
        last = _number(
            {"SLURM_ARRAY_TASK_MAX": str(first + (count - 1) * step), **environment},
            "SLURM_ARRAY_TASK_MAX",
        )
        index = (task - first) // max(step, 1)
        if last != first + (count - 1) * step or task != first + index * step:
            raise OptionError(
                f"`shard` auto needs an array without holes, such as 0-{count - 1}, but this one "
                f"has {count} tasks from {first} to {last}; give i/n"
            )
    if launched:
        rank, world = (_number(environment, name) for name in TORCHRUN)
        index, count = index * world + rank, count * world
    return Shard(index, count)


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "")
    if not re.fullmatch(r"\d+", value):
        raise OptionError(f"`shard` auto: {name} must be a number, but is {value!r}")
    return int(value)
