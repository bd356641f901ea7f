"""Where a training comes from: what a weights file's card says of it."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torchvision


def provenance(*, seed: int, seconds: float, device: str) -> dict[str, Any]:
    """Seed, commit, time, machine and versions of a training that has just ended."""
    return {
        "seed": seed,
        "commit": commit(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": round(seconds / 60, 1),
        "machine": machine(device),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }


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
