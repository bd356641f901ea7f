"""The operator as torch custom ops: what autograd, torch.compile and torch.export see.

`trovid::temporal_roi_align` computes a `Problem` by one of the exact backends; its gradient is an
op of its own that starts from the choice of the forward pass. A backend is a module with
`forward(problem, keep) -> (output, Choice | None)` and
`backward(problem, choice, grad_output) -> Gradients`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trovid.ops.backends import backend_module, resolve_backend
from trovid.ops.dispatch import check_indices
from trovid.ops.packed import PackedSupport
from trovid.ops.problem import Choice, Problem

_PROBLEM = (
    "Tensor features, Tensor rows, Tensor? weight, Tensor? bias, Tensor inverse_norms, "
    "Tensor rois, SymInt[2] map_size, SymInt[] lengths, int[2] output_size, float spatial_scale, "
    "int sampling_ratio, bool aligned, int top_k, int num_heads, float logit_scale"
)
_TENSORS, _DIFFERENTIABLE = 6, 4
"""How many of these are tensors, and how many of those have a gradient."""


def temporal_roi_align(problem: Problem, backend: str) -> Tensor:
    """Computes the problem by a backend, or by the fastest for "auto": Tensor[R, C, h, w]."""
    arguments = _arguments(problem)
    keep = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in arguments[:_DIFFERENTIABLE]
    )
    output, *_ = _forward(*arguments, backend, keep)
    return output


def _arguments(problem: Problem) -> tuple:
    support = problem.support
    return (
        problem.features,
        support.rows,
        problem.weight,
        problem.bias,
        support.inverse_norms,
        problem.rois,
        support.size,
        support.lengths,
        *problem.pooling,
        problem.top_k,
        problem.num_heads,
        problem.logit_scale,
    )


def _problem(arguments: tuple) -> Problem:
    features, rows, weight, bias, inverse_norms, rois, size, lengths, grid, *settings = arguments
    support = PackedSupport(rows, inverse_norms, tuple(size), tuple(lengths))
    return Problem(features, support, rois, weight, bias, tuple(grid), *settings)


def _run_forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *described, backend, keep = arguments
    problem = _problem(tuple(described))
    check_indices(problem.rois, problem.support.num_videos)
    name = resolve_backend(backend, problem.features)
    output, choice = backend_module(name).forward(problem, keep)
    sets, scores, indices = choice or _no_choice(output)
    return output.contiguous(), sets, scores, indices


def _no_choice(output: Tensor) -> Choice:
    nothing = torch.empty(0, dtype=torch.int32, device=output.device)
    return Choice(output.new_empty(0), output.new_empty(0), nothing)


def _run_backward(grad_output: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    choice, (*described, backend) = Choice(*arguments[:3]), arguments[3:]
    problem = _problem(tuple(described))
    gradients = backend_module(resolve_backend(backend, problem.features)).backward(
        problem, choice, grad_output
    )
    weight, bias = (
        grad_output.new_empty(0) if gradient is None else gradient
        for gradient in (gradients.weight, gradients.bias)
    )
    features = gradients.features.contiguous(memory_format=torch.channels_last)
    return features, gradients.rows.contiguous(), weight.contiguous(), bias


_forward = torch.library.custom_op(
    "trovid::temporal_roi_align",
    _run_forward,
    mutates_args=(),
    schema=f"({_PROBLEM}, str backend, bool keep) -> (Tensor, Tensor, Tensor, Tensor)",
)
_backward = torch.library.custom_op(
    "trovid::temporal_roi_align_backward",
    _run_backward,
    mutates_args=(),
    schema="(Tensor grad_output, Tensor sets, Tensor scores, Tensor indices, "
    f"{_PROBLEM}, str backend) -> (Tensor, Tensor, Tensor, Tensor)",
)


@_forward.register_fake
def _(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *described, _, keep = arguments
    problem = _problem(tuple(described))
    features, grid = problem.features, problem.output_size
    output = features.new_empty(problem.rois.shape[0], features.shape[1], *grid)
    if not keep:
        return output, *_no_choice(output)
    sets = features.new_empty(problem.rois.shape[0], *grid, features.shape[1])
    positions = problem.rois.shape[0] * grid[0] * grid[1]
    scores = features.new_empty(problem.longest, positions, problem.top_k)
    return output, sets, scores, torch.empty_like(scores, dtype=torch.int32)


@_backward.register_fake
def _(grad_output: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    features, rows, weight, bias = arguments[3 : 3 + _DIFFERENTIABLE]
    return (
        torch.empty_like(features, memory_format=torch.channels_last),
        rows.new_empty(rows.shape),
        features.new_empty(0 if weight is None else weight.shape),
        features.new_empty(0 if bias is None else bias.shape),
    )


def _setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
    ctx.save_for_backward(*inputs[:_TENSORS], *output[1:])
    ctx.settings = inputs[_TENSORS:-1]
    ctx.set_materialize_grads(False)


def _gradient(ctx: Any, grad_output: Tensor | None, *_: Tensor | None) -> tuple:
    others = (None,) * (_TENSORS - _DIFFERENTIABLE + len(ctx.settings) + 1)
    if grad_output is None:
        return (None,) * _DIFFERENTIABLE + others
    tensors, choice = ctx.saved_tensors[:_TENSORS], ctx.saved_tensors[_TENSORS:]
    gradients = _backward(grad_output, *choice, *tensors, *ctx.settings)
    wanted = ctx.needs_input_grad[:_DIFFERENTIABLE]
    return *(g if want else None for g, want in zip(gradients, wanted, strict=True)), *others


_forward.register_autograd(_gradient, setup_context=_setup_context)


def _no_second_gradient(ctx: Any, *_: Tensor) -> tuple:
    raise RuntimeError(
        "temporal_roi_align has first derivatives only: use backend='reference' for second ones"
    )


_backward.register_autograd(_no_second_gradient)
