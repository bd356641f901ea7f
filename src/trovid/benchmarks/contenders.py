"""The operator's two contenders, called with the same inputs: the frozen rival and trovid."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trovid import ops
from trovid.benchmarks import rival
from trovid.benchmarks.inputs import OperatorInputs, OperatorSize

Contender = Callable[[OperatorInputs, OperatorSize], Tensor]
RIVAL = "rival"
TROVID = "trovid"


def run_rival(inputs: OperatorInputs, size: OperatorSize) -> Tensor:
    """The frozen rival."""
    return rival.temporal_roi_align(
        inputs.features,
        inputs.support,
        inputs.boxes.to(inputs.features.dtype),
        size.grid,
        1 / size.stride,
        size.sampling_ratio,
        top_k=size.top_k,
        num_heads=0 if inputs.weight is None else size.heads,
        weight=inputs.weight,
        bias=inputs.bias,
    )


def trovid_with(backend: str, *, packed: ops.PackedSupport | None = None) -> Contender:
    """The operator of trovid with a backend.

    Args:
        backend: As `trovid.ops.temporal_roi_align` takes it.
        packed: The support maps prepared before, as for all frames of a video but the first; by
            default they are prepared within the call.
    """

    def run(inputs: OperatorInputs, size: OperatorSize) -> Tensor:
        return ops.temporal_roi_align(
            inputs.features,
            inputs.support.unsqueeze(0) if packed is None else packed,
            [inputs.boxes],
            size.grid,
            1 / size.stride,
            size.sampling_ratio,
            top_k=size.top_k,
            num_heads=0 if inputs.weight is None else size.heads,
            weight=inputs.weight,
            bias=inputs.bias,
            backend=backend,
        )

    return run


def forward(contender: Contender, inputs: OperatorInputs, size: OperatorSize) -> dict[str, Tensor]:
    """The output alone, without a graph."""
    with torch.no_grad():
        return {"output": contender(inputs, size)}


def forward_backward(
    contender: Contender, inputs: OperatorInputs, size: OperatorSize
) -> dict[str, Tensor]:
    """The output, and the gradients of the maps and of the embedding."""
    leaves = {name: leaf.detach().requires_grad_() for name, leaf in inputs.leaves().items()}
    leaf_inputs = OperatorInputs(
        leaves["features"],
        leaves["support"],
        inputs.boxes,
        leaves.get("weight"),
        leaves.get("bias"),
        inputs.grad_output,
    )
    output = contender(leaf_inputs, size)
    gradients = torch.autograd.grad(output, list(leaves.values()), leaf_inputs.grad_output)
    return {"output": output.detach(), **dict(zip(leaves, gradients, strict=True))}


def step_of(backward: bool) -> Callable[..., dict[str, Tensor]]:
    """`forward_backward` or `forward`."""
    return forward_backward if backward else forward
