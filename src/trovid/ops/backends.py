"""The backends: which there are, which can be used here, and which one "auto" takes."""

from __future__ import annotations

import os
from types import ModuleType

import torch
from torch import Tensor

from trovid.ops import direct, native, triton

BACKENDS = ("reference", "direct", "native", "triton")
BACKEND_VARIABLE = "TROVID_BACKEND"


def backends() -> dict[str, str | None]:
    """The operator's backends by name, each with the reason why it cannot be used here, or None.

    Example:
        >>> backends()["direct"] is None
        True
    """
    return {
        "reference": None,
        "direct": None,
        "native": native.unavailable(),
        "triton": triton.available(),
    }


def backend_module(name: str) -> ModuleType:
    """The module of a backend that computes a `Problem` ("reference" is none of them)."""
    return {"direct": direct, "native": native, "triton": triton}[name]


def requested_backend(backend: str) -> str:
    """The backend asked for: the argument, or instead of "auto" what TROVID_BACKEND says.

    Raises:
        ValueError: If there is no backend of that name.
    """
    source, name = "`backend`", backend
    if backend == "auto":
        source = f"the environment variable {BACKEND_VARIABLE}"
        name = os.environ.get(BACKEND_VARIABLE) or "auto"
    if name not in ("auto", *BACKENDS):
        known = ", ".join(repr(known) for known in ("auto", *BACKENDS))
        raise ValueError(f"{source} must be one of {known}, but is {name!r}")
    return name


def resolve_backend(backend: str, tensor: Tensor) -> str:
    """The backend that computes on tensors such as this one; for "auto" the fastest.

    Raises:
        ValueError: If there is no backend of that name, or it does not compute on such tensors.
        RuntimeError: If it is not available here.
    """
    name = requested_backend(backend)
    if name == "auto":
        return _fastest(tensor)
    reason = backends()[name]
    if reason:
        raise RuntimeError(f"the backend {name!r} is not available: {reason}")
    if name == "native" and not native.accepts(tensor):
        raise ValueError(
            f"the backend 'native' computes in float32 on the CPU, but the features are "
            f"{str(tensor.dtype).removeprefix('torch.')} on {tensor.device}: use 'auto' or 'direct'"
        )
    return name


def _fastest(tensor: Tensor) -> str:
    """The rule of docs/operator.md: measured on CPUs, a guess on GPUs."""
    if tensor.device.type == "cuda":
        usable = tensor.dtype != torch.float64 and triton.available() is None
        return "triton" if usable else "direct"
    return "native" if native.accepts(tensor) and native.unavailable() is None else "direct"
