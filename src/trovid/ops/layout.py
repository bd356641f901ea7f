"""Maps Tensor[S, C, H, W] as rows Tensor[S, H * W, C]: the order in which cells are compared."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trovid.ops import native_library


def rows_of_maps(maps: Tensor) -> Tensor:
    """Tensor[S, C, H, W] to a contiguous Tensor[S, H * W, C]; no copy of a channels-last map."""
    rows = maps.flatten(2).transpose(1, 2)
    if rows.is_contiguous():
        return rows
    if maps.device.type == "cpu" and maps.dtype == torch.float32:
        return _transpose(maps.flatten(2))
    return rows.contiguous()


def _run_transpose(matrices: Tensor) -> Tensor:
    if native_library.unavailable():
        return matrices.transpose(1, 2).clone(memory_format=torch.contiguous_format)
    return native_library.transpose(matrices)


_transpose = torch.library.custom_op(
    "trovid::transpose",
    _run_transpose,
    mutates_args=(),
    schema="(Tensor matrices) -> Tensor",
)


@_transpose.register_fake
def _(matrices: Tensor) -> Tensor:
    return matrices.new_empty(matrices.shape[0], matrices.shape[2], matrices.shape[1])


def _gradient(ctx: Any, grad: Tensor) -> Tensor:
    return grad.transpose(1, 2)


_transpose.register_autograd(_gradient)
