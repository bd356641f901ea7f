"""Parts that compute in a lower precision."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class LowPrecision(nn.Module):
    """Runs a module in a lower precision; what goes in and comes out is float32.

    Args:
        module: A copy of it is converted.
        dtype: The lower precision.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).to(dtype)
        self.dtype = dtype

    def forward(self, value: Any) -> Any:
        """A tensor, a list or a dict of tensors to what the module makes of it."""
        return _cast(self.module(_cast(value, self.dtype)), torch.float32)


def lower_precision(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The module in a lower precision; itself for float32."""
    return module if dtype == torch.float32 else LowPrecision(module, dtype)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype)
    if isinstance(value, Mapping):
        return {name: _cast(part, dtype) for name, part in value.items()}
    if isinstance(value, Sequence):
        return type(value)(_cast(part, dtype) for part in value)
    raise AssertionError(f"not tensors: {type(value)}")
