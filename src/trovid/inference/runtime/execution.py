"""How a detector is run: compiled or as it is, with deterministic algorithms or the fastest."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

import torch

from trovid.detectors.contract import VideoDetector
from trovid.errors import TrovidError

CUBLAS_VARIABLE, CUBLAS_VALUE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


def compile_parts(detector: VideoDetector, device: torch.device) -> None:
    """Lets torch.compile make the detector's dense parts, at their first call.

    The rest depends on how many boxes there are, and its time lies in kernels of its own.

    Args:
        detector: Changed in place.
        device: Where it runs.

    Raises:
        TrovidError: If torch.compile does not work on this machine.
    """
    check_compile(device)
    for part in detector.dense_parts:
        part.compile()


def check_compile(device: torch.device) -> None:
    """That torch.compile works.

    Args:
        device: Where it is to.

    Raises:
        TrovidError: If it does not; the message says why.
    """
    try:
        torch.compile(_trial)(torch.ones(2, device=device))
    except RuntimeError as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
        raise TrovidError(
            f"torch.compile does not work here ({reason}): run without it, or install what it "
            "needs (on a CPU a C++ compiler)"
        ) from error


def _trial(x: torch.Tensor) -> torch.Tensor:
    return x * 2 + 1


def prepare_deterministic(device: torch.device) -> None:
    """Sets what cuBLAS reads when it starts; call it before the first product on the GPU."""
    if device.type == "cuda":
        os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_VALUE)


@contextmanager
def deterministic_algorithms() -> Generator[None]:
    """Deterministic algorithms alone inside; the settings before are put back."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
