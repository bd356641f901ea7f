"""What the commands of `trovid bench` ask of the options that several of them have."""

from __future__ import annotations

import math

from trovid.errors import TrovidError


def check_timing(*, threads: int, rounds: int, seconds: float) -> None:
    """Refuses what no run can be timed with; 0 seconds are the two rounds made in any case."""
    if threads < 1 or rounds < 1:
        raise TrovidError("--threads and --rounds must be at least 1")
    if not (math.isfinite(seconds) and seconds >= 0):
        raise TrovidError(f"--seconds must be 0 or a finite number above, but is {seconds:g}")


def check_against(*, maps: str, backend: str, dtype: str, device: str) -> None:
    """Refuses what the worker of `trovid.benchmarks.against` is not told."""
    for flag, value, usual, words in (
        ("maps", maps, "random", "on random maps"),
        ("backend", backend, "auto", "the backend that each installation takes by itself"),
        ("dtype", dtype, "float32", "in float32"),
        ("device", device, "cpu", "on the CPU"),
    ):
        if value != usual:
            raise TrovidError(f"--against compares {words}: leave --{flag} out")


def check_device(device: str) -> None:
    """Refuses a device that torch does not see."""
    if device.startswith("cuda"):
        import torch

        if not torch.cuda.is_available():
            raise TrovidError(f"--device {device}: torch sees no GPU here; leave it out")
    elif device != "cpu":
        raise TrovidError(f"--device must be cpu, cuda or cuda:N, but is {device}")
