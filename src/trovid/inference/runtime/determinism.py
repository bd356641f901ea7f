"""Deterministic algorithms in place of the fastest."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

import torch

CUBLAS_VARIABLE, CUBLAS_VALUE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


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
