"""The native backend: trovid's own C++ kernels for float32 on the CPU (see docs/operator.md)."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from trovid.ops import direct
from trovid.ops.layout import rows_of_maps
from trovid.ops.native_library import (
    OUT_OF_RANGE,
    check,
    library,
    pointer,
    transpose,
    unavailable,
)
from trovid.ops.problem import Choice, Gradients, Problem

__all__ = ["accepts", "backward", "forward", "select", "unavailable"]


def accepts(tensor: Tensor) -> bool:
    """Whether the backend computes on tensors such as this one."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32


def forward(problem: Problem, keep: bool) -> tuple[Tensor, Choice | None]:
    """Temporal RoI features Tensor[R, C, h, w] and, where asked for, the choice behind them."""
    call = _Call(problem)
    output = problem.features.new_empty(call.rois, call.channels, *problem.output_size)
    sets = output.new_empty(call.rois, *problem.output_size, call.channels)
    scores = output.new_zeros(problem.longest, call.positions, problem.top_k)
    indices = torch.zeros(scores.shape, dtype=torch.int32)
    if call.run("trovid_forward", output, sets, scores, indices) == OUT_OF_RANGE:
        return direct.forward(problem, keep)
    return output, Choice(sets, scores, indices) if keep else None


def backward(problem: Problem, choice: Choice, grad_output: Tensor) -> Gradients:
    """Gradients of everything, from the choice of the forward pass."""
    call = _Call(problem)
    grad_rows = torch.empty_like(problem.support.rows)
    weight, bias = (None if t is None else torch.empty_like(t) for t in call.embedding)
    features = torch.empty_like(call.features)
    code = call.run(
        "trovid_backward",
        *(tensor.contiguous() for tensor in (*choice, grad_output)),
        features,
        grad_rows,
        weight,
        bias,
    )
    if code == OUT_OF_RANGE:
        return direct.backward(problem, choice, grad_output)
    maps = transpose(features).view(problem.features.shape)
    return Gradients(maps, grad_rows, weight, bias)


def select(
    positions: Tensor, rows: Tensor, inverse_norms: Tensor, top_k: int
) -> tuple[Tensor, Tensor] | None:
    """Eq. 2 for the support frames of one video.

    Args:
        positions: Tensor[M, C].
        rows: Tensor[T, P, C].
        inverse_norms: Tensor[T, P].
        top_k: K.

    Returns:
        scores Tensor[T, M, K] and indices Tensor[T, M, K] (int32); None where a value is out of
        the range that the kernels handle.
    """
    scores = positions.new_empty(len(rows), len(positions), top_k)
    indices = torch.empty(scores.shape, dtype=torch.int32)
    positions, rows, inverse_norms = (t.contiguous() for t in (positions, rows, inverse_norms))
    code = library().trovid_select(
        pointer(positions),
        ctypes.c_int64(len(positions)),
        pointer(rows),
        pointer(inverse_norms),
        *(ctypes.c_int64(n) for n in (*rows.shape, top_k, torch.get_num_threads())),
        pointer(scores),
        pointer(indices),
    )
    check(code)
    return None if code == OUT_OF_RANGE else (scores, indices)


class _CProblem(ctypes.Structure):
    """`trovid_problem` of csrc/trovid.h."""

    _fields_ = (
        *(
            (name, ctypes.c_int64)
            for name in (
                "videos",
                "channels",
                "height",
                "width",
                "cells",
                "rois",
                "grid_height",
                "grid_width",
                "top_k",
                "heads",
                "dense",
                "sampling_ratio",
                "aligned",
                "threads",
            )
        ),
        ("spatial_scale", ctypes.c_float),
        ("logit_scale", ctypes.c_float),
        *(
            (name, ctypes.c_void_p)
            for name in (
                "features",
                "support",
                "inverse_norms",
                "lengths",
                "boxes",
                "weight",
                "bias",
            )
        ),
    )


class _Call:
    """A problem as the library takes it, and the tensors that it points to."""

    def __init__(self, problem: Problem) -> None:
        self.features = rows_of_maps(problem.features)
        weight, bias = (
            None if t is None else t.contiguous() for t in (problem.weight, problem.bias)
        )
        self.embedding = weight, bias
        self.rois, self.channels = len(problem.rois), problem.features.shape[1]
        self.positions = self.rois * problem.output_size[0] * problem.output_size[1]
        self.tensors = (
            self.features,
            problem.support.rows.contiguous(),
            problem.support.inverse_norms.contiguous(),
            torch.tensor(problem.support.lengths, dtype=torch.int64),
            problem.rois.contiguous(),
            weight,
            bias,
        )
        dense = weight is not None and weight.shape[1] == self.channels
        self.described = _CProblem(
            len(problem.features),
            *problem.features.shape[1:],
            problem.support.rows.shape[1],
            self.rois,
            *problem.output_size,
            problem.top_k,
            problem.num_heads,
            int(dense),
            problem.sampling_ratio,
            int(problem.aligned),
            torch.get_num_threads(),
            problem.spatial_scale,
            problem.logit_scale,
            *(pointer(tensor) for tensor in self.tensors),
        )

    def run(self, name: str, *tensors: Tensor | None) -> int:
        """Calls a function of the library on the problem; returns its code."""
        pointers = (pointer(tensor) for tensor in tensors)
        code = getattr(library(), name)(ctypes.byref(self.described), *pointers)
        check(code)
        return code
