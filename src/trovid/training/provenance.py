"""Where a training comes from: what a weights file's card says of it."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torchvision

from trovid.allocator import highest_memory, memory_in_use


def training_provenance(
    *, seed: int, seconds: float, device: str, processor_seconds: float | None = None
) -> dict[str, Any]:
    """Seed, commit, time, memory, machine and versions of a training that has just ended.

    Args:
        seed: Of the training.
        seconds: That it took.
        device: Where it ran.
        processor_seconds: That its process used; None where that is not known.
    """
    used = {} if processor_seconds is None else {"processor_minutes": processor_seconds / 60}
    return {
        "seed": seed,
        "commit": commit(),
        "finished": now(),
        "minutes": round(seconds / 60, 1),
        **{name: round(minutes, 1) for name, minutes in used.items()},
        "memory_mb": round(peak_memory(torch.device(device)) / 2**20),
        "machine": machine(device),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }


def report_origin(device: str = "cpu", *, began: float) -> dict[str, Any]:
    """Commit, machine, time and duration of a report that has just been computed.

    Args:
        device: Where it was computed.
        began: `time.monotonic()` when this run of it began.
    """
    return {
        "commit": commit(),
        "machine": machine(device),
        "finished": now(),
        "minutes": round((time.monotonic() - began) / 60, 1),
    }


def now() -> str:
    """The time in UTC, as reports and cards say it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def count_memory_anew(place: torch.device) -> None:
    """From here on `peak_memory` counts anew."""
    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)
    else:
        memory_in_use()


def peak_memory(place: torch.device) -> int:
    """The most bytes in use: on a GPU of its own memory, else of this process."""
    if place.type == "cuda":
        return torch.cuda.max_memory_allocated(place)
    return highest_memory()


def machine(device: str = "cpu") -> str:
    """The processor or GPU and how many threads torch uses, in a few words."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def commit() -> str:
    """The commit of the source tree that trovid runs from, or "unknown"."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
