"""What a figure was measured on: processor, instruction sets, threads, versions, commit, date."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision

from trovid import __version__
from trovid.benchmarks.timing import time_of
from trovid.training.provenance import commit, machine

INSTRUCTION_SETS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd")


def machine_record(device: str = "cpu") -> dict[str, Any]:
    """The machine, the versions, the commit and the date, ready for JSON."""
    record: dict[str, Any] = {
        "processor": machine().partition(",")[0],
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instruction_sets": instruction_sets(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "trovid": __version__,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if device.startswith("cuda"):
        major, minor = torch.cuda.get_device_capability(device)
        record["gpu"] = f"{torch.cuda.get_device_name(device)}, sm_{major}{minor}"
        record["cuda"] = torch.version.cuda
    return record


def instruction_sets() -> list[str]:
    """Those that matter here and that the processor says it has; empty where it does not say."""
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return []
    for line in file.read_text().splitlines():
        if line.startswith(("flags", "Features")):
            flags = line.partition(":")[2].split()
            return [name for name in INSTRUCTION_SETS if name in flags]
    return []


def product_speeds(
    device: str = "cpu", dtype: torch.dtype = torch.float32, *, seconds: float = 1.0
) -> dict[str, float]:
    """The machine's measured speed of products in GFLOP/s, the best within `seconds` each.

    Two ways to the same product, since libraries differ by more than a factor of two: `mm` is
    torch.mm of 2048x2048 matrices, `conv` a channels-last 1x1 convolution of 512 to 512 channels.
    """
    options: dict[str, Any] = {"device": device, "dtype": dtype}
    a, b = torch.rand(2048, 2048, **options), torch.rand(2048, 2048, **options)
    maps = torch.rand(8, 512, 48, 64, **options).to(memory_format=torch.channels_last)
    kernel = torch.rand(512, 512, 1, 1, **options).to(memory_format=torch.channels_last)
    products = {
        "mm": (2 * 2048**3, lambda: a @ b),
        "conv": (2 * maps.numel() * 512, lambda: F.conv2d(maps, kernel)),
    }
    with torch.no_grad():
        speeds = {}
        for name, (flops, run) in products.items():
            speeds[name] = flops / _best(run, device, seconds) / 1e9
    return speeds


def _best(run: Callable[[], object], device: str, seconds: float) -> float:
    run()
    began, best = time.perf_counter(), time_of(run, device)
    while time.perf_counter() - began < seconds:
        best = min(best, time_of(run, device))
    return best
