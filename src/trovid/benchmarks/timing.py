"""Interleaved timing: contenders take turns, so that a wandering clock meets all of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Timing:
    """The times of one contender's runs, in the order in which they were made.

    Attributes:
        seconds: At least one.
    """

    seconds: tuple[float, ...]

    @property
    def minimum(self) -> float:
        """The fastest run, in seconds: the one that was disturbed least."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """In seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """(slowest - fastest) / median."""
        return (max(self.seconds) - self.minimum) / self.median


def timing_records(timings: Mapping[str, Timing]) -> dict[str, dict[str, Any]]:
    """What a record says of the times of its contenders, ready for JSON, in seconds."""
    return {
        "seconds": {name: list(timing.seconds) for name, timing in timings.items()},
        "minimum": {name: timing.minimum for name, timing in timings.items()},
        "median": {name: timing.median for name, timing in timings.items()},
        "spread": {name: timing.spread for name, timing in timings.items()},
    }


def interleave(
    contenders: Mapping[str, Callable[[], Any]],
    *,
    device: str = "cpu",
    rounds: int = 7,
    least: int = 2,
    budget: float = 60.0,
    clock: Callable[[Callable[[], Any]], float] | None = None,
) -> dict[str, Timing]:
    """Runs A B A B ... and times each run; warming up is the caller's affair.

    Args:
        contenders: What to run, by name.
        device: Where the work is done; on a GPU time is taken by events.
        rounds: At most so many runs of each.
        least: At least so many runs of each, whatever they cost.
        budget: Seconds after which no further round begins.
        clock: Runs a contender and tells its seconds; by default `time_of`.
    """
    if rounds < 1:
        raise ValueError(f"`rounds` must be at least 1, but is {rounds}")
    clock = clock or (lambda run: time_of(run, device))
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    began = time.perf_counter()
    for done in range(rounds):
        used = time.perf_counter() - began
        if done >= least and used * (done + 1) / done > budget:
            break
        for name, run in contenders.items():
            gc.collect()
            seconds[name].append(clock(run))
    return {name: Timing(tuple(times)) for name, times in seconds.items()}


def time_of(run: Callable[[], object], device: str = "cpu") -> float:
    """Seconds of one run; letting go of its result is not counted."""
    if device.startswith("cuda"):
        with torch.cuda.device(device):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            start.record()
            result = run()
            end.record()
            torch.cuda.synchronize()
            del result
            return start.elapsed_time(end) / 1000
    began = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - began
    del result
    return seconds
