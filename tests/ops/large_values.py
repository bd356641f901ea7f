"""The operator on values so large that float32 itself is off."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tests.ops.compare import Problem


def gradients(
    problem: Problem,
    backend: str,
    dtype: torch.dtype,
    scale: float,
    *,
    noise: float = 0.0,
    scaled: Sequence[str] = ("feat", "supp"),
) -> dict[str, Tensor]:
    """Output and gradients at a large scale, with the inputs moved by so many parts of them."""
    tensors = problem.tensors(5)
    generator = torch.Generator().manual_seed(3)
    leaves = {}
    for name, leaf in tensors.items():
        moved = leaf.detach().double() * (scale if name[:4] in scaled else 1.0)
        if noise:
            moved *= 1 + noise * torch.randn(moved.shape, generator=generator, dtype=moved.dtype)
        leaves[name] = moved.to(dtype)
        if not name.startswith("boxes"):
            leaves[name].requires_grad_()
    output = problem.run(leaves, backend)
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    output.backward(direction.to(dtype))
    return {"output": output.detach()} | {
        name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None
    }


def check_at_scale(problem: Problem, backend: str, scale: float, scaled: Sequence[str]) -> None:
    """The error is at most ten times that of the equations in float32, or of inputs rounded."""
    exact = gradients(problem, "reference", torch.float64, scale, scaled=scaled)
    others = [
        gradients(problem, "reference", torch.float64, scale, noise=noise, scaled=scaled)
        for noise in (6e-8, -9e-8)
    ]
    others.append(gradients(problem, "reference", torch.float32, scale, scaled=scaled))
    found = gradients(problem, backend, torch.float32, scale, scaled=scaled)
    for name, value in exact.items():
        error, *bounds = (
            (tensors[name].double() - value).abs().max() for tensors in (found, *others)
        )
        told = f"{problem}, {scaled} at {scale:.1e}: {name} is off by {error:.1e}"
        bound = 1e-5 * value.abs().max() + 10 * max(bounds)
        assert error < bound or error == 0, told  # 0 is all that is left of a saturated softmax
