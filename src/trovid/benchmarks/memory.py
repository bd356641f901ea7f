"""Peak extra memory of one computation, measured in a process of its own."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import replace

import torch

from trovid.allocator import highest_memory, memory_in_use
from trovid.benchmarks.child_process import run_module
from trovid.benchmarks.contenders import RIVAL, run_rival, step_of, trovid_with
from trovid.benchmarks.inputs import OperatorSize, make_inputs
from trovid.benchmarks.maps import RANDOM


def extra_memory(run: Callable[[], object], device: str = "cpu") -> int:
    """Bytes by which the high-water mark of a run exceeds the memory in use before it.

    On a CPU this is resident memory; where the system cannot reset the mark (all but Linux), only
    what exceeds the process's highest mark so far is seen. Call it in a fresh process.
    """
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        result = run()
        torch.cuda.synchronize(device)
        peak = torch.cuda.max_memory_allocated(device)
    else:
        before = memory_in_use()
        result = run()
        peak = highest_memory()
    del result
    return max(0, peak - before)


def memory_of(
    contender: str,
    size: OperatorSize,
    *,
    backward: bool,
    backend: str = "auto",
    threads: int = 2,
    device: str = "cpu",
    dtype: str = "float32",
    maps: str = RANDOM,
) -> int:
    """Peak extra bytes of a contender, in a new process that inherits the environment.

    Args:
        contender: "rival" or "trovid".
        size: The case.
        backward: Forward and backward, or forward alone.
        backend: trovid's.
        threads: torch's.
        device: cpu or cuda.
        dtype: Of the maps.
        maps: Their kind.

    Raises:
        RuntimeError: If the process fails.
    """
    job = {
        "contender": contender,
        "size": size.values(),
        "backward": backward,
        "backend": backend,
        "threads": threads,
        "device": device,
        "dtype": dtype,
        "maps": maps,
    }
    return run_module(
        "trovid.benchmarks.memory",
        job,
        threads=threads,
        what=f"measuring the memory of {contender}",
    )


def main() -> None:
    """The process of its own: a job as JSON comes as argument, bytes go to stdout."""
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    size, device = OperatorSize(**job["size"]), job["device"]
    dtype = getattr(torch, job["dtype"])
    contender = run_rival if job["contender"] == RIVAL else trovid_with(job["backend"])
    step = step_of(job["backward"])
    tiny = replace(size, rois=2, frames=1, channels=8 * size.heads, height=9, width=9)
    tiny_inputs = make_inputs(tiny, device=device, dtype=dtype)
    inputs = make_inputs(size, device=device, dtype=dtype, maps=job["maps"])
    step(contender, tiny_inputs, tiny)
    print(extra_memory(lambda: step(contender, inputs, size), device))


if __name__ == "__main__":
    main()
