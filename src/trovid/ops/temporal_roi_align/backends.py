"""The backends: which there are, which can be used here, and which one "auto" takes.

A backend is a module with `unavailable() -> str | None`, the reason why it cannot be used here,
`forward(problem, keep) -> (output, Selection | None)` and `backward(problem, selection,
grad_output) -> Gradients`. Either of these may return None, which leaves the call to the direct
backend: it takes every setting and every value.
"""

from __future__ import annotations

import logging
import os
from functools import cache

import torch
from torch import Tensor

from trovid.ops.temporal_roi_align.cpp import backend as native
from trovid.ops.temporal_roi_align.direct import backend as direct
from trovid.ops.temporal_roi_align.packed import checked_norms
from trovid.ops.temporal_roi_align.problem import Gradients, Problem, Selection
from trovid.ops.temporal_roi_align.triton import backend as triton

BACKEND_VARIABLE = "TROVID_BACKEND"
log = logging.getLogger("trovid")
_MODULES = {"direct": direct, "native": native, "triton": triton}
_NAMES = ("auto", "reference", *_MODULES)


def backends() -> dict[str, str | None]:
    """The operator's backends by name, each with the reason why it cannot be used here, or None.

    Example:
        >>> backends()["direct"] is None
        True
    """
    return {"reference": None, **{name: of.unavailable() for name, of in _MODULES.items()}}


def requested_backend(backend: str) -> str:
    """The backend asked for: the argument, or instead of "auto" what TROVID_BACKEND says.

    Raises:
        ValueError: If there is no backend of that name.
    """
    source, name = "`backend`", backend
    if backend == "auto":
        source = f"the environment variable {BACKEND_VARIABLE}"
        name = os.environ.get(BACKEND_VARIABLE) or "auto"
    if name not in _NAMES:
        known = ", ".join(map(repr, _NAMES))
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
    reason = None if name == "reference" else _MODULES[name].unavailable()
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
        usable = tensor.dtype != torch.float64 and triton.unavailable() is None
        return "triton" if usable else "direct"
    if not native.accepts(tensor):
        return "direct"
    reason = native.unavailable()
    if reason is None:
        return "native"
    _say_what_is_lost(reason)
    return "direct"


@cache
def _say_what_is_lost(reason: str) -> None:
    """Once a process."""
    log.warning(
        "temporal_roi_align computes without its native library: the same results, but several "
        "times slower (%s)",
        reason,
    )


def reads_planes(backend: str, *maps: object) -> bool:
    """Whether maps may stay as they are, since the native library reads them."""
    if torch.compiler.is_compiling() or requested_backend(backend) not in ("auto", "native"):
        return False
    plain = all(type(each) is Tensor and not each.is_meta and native.accepts(each) for each in maps)
    return plain and native.unavailable() is None


def run_forward(backend: str, problem: Problem, keep: bool) -> tuple[Tensor, Selection | None]:
    """Temporal RoI features Tensor[R, C, h, w] and, where asked for, the selection behind them."""
    module = _MODULES[resolve_backend(backend, problem.features)]
    if not (module is native and native.are_planes(problem.rows)):
        problem = _with_norms(problem)
    return module.forward(problem, keep) or direct.forward(_with_norms(problem), keep)


def _with_norms(problem: Problem) -> Problem:
    if problem.inverse_norms.shape == problem.rows.shape[:2]:
        return problem
    return problem._replace(inverse_norms=checked_norms(problem.rows))


def run_backward(
    backend: str, problem: Problem, selection: Selection, grad_output: Tensor
) -> Gradients:
    """Gradients of everything, from the selection of the forward pass."""
    module, problem = _MODULES[resolve_backend(backend, problem.features)], _with_norms(problem)
    found = module.backward(problem, selection, grad_output)
    return found or direct.backward(problem, selection, grad_output)
