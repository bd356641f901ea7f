"""Products by oneDNN, for inference on a CPU.

torch takes another library for float32 matrices, which on some processors reaches half the speed of
the machine or less; for convolutions and bfloat16 it takes oneDNN.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCORES = 2**21
"""Of the attention's scores that are there at once, so that they lie in the cache."""


def available() -> bool:
    """Whether this torch lets oneDNN multiply float32 matrices and add in place."""
    names = ("_linear_pointwise", "_convolution_pointwise_")
    return torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in names
    )


def computes_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 on this processor."""
    asked = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    if asked is None:
        return torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return bool(asked())


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias` in float32: Tensor[M, K] and Tensor[N, K] to Tensor[M, N].

    Args:
        x: Contiguous rows, at least one.
        weight: Contiguous.
        bias: Tensor[N].
    """
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class Linear(nn.Module):
    """A fully connected layer that oneDNN computes.

    Args:
        layer: Whose weights are used.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """Tensor[R, ...], flattened to Tensor[R, D_in], to Tensor[R, D]."""
        x = x.flatten(1)
        if not len(x) or x.dtype != torch.float32 or torch.compiler.is_compiling():
            return F.linear(x, self.weight, self.bias)
        return product(x.contiguous(), self.weight, self.bias)


def attend(queries: Tensor, keys: Tensor, values: Tensor, num_heads: int) -> Tensor:
    """As `trovid.nn.selsa.attend`, in float32 and with at least one key; no gradient."""
    split = keys.unflatten(1, (num_heads, -1)).movedim(1, 0).contiguous()
    transposed = values.t().contiguous().unflatten(0, (num_heads, -1))
    gathered = torch.empty_like(queries)
    heads = queries.unflatten(1, (num_heads, -1)), gathered.unflatten(1, (num_heads, -1))
    step = max(1, SCORES // len(keys))
    for head in range(num_heads):
        for first in range(0, len(queries), step):
            rows, result = (part[first : first + step, head] for part in heads)
            scores = product((rows * rows.shape[1] ** -0.5).contiguous(), split[head])
            result.copy_(product(scores.softmax(-1), transposed[head]))
    return gathered
