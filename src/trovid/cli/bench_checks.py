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
