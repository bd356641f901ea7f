"""Checks of the fields that several structures have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def check_tensor(value: object, name: str) -> None:
    """That it is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"`{name}` must be a Tensor, but got {type(value).__name__}")


def check_boxes(boxes: Tensor, name: str = "boxes") -> None:
    """That they are Tensor[N, 4]."""
    check_tensor(boxes, name)
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise ValueError(f"`{name}` must have shape [N, 4], but got {list(boxes.shape)}")


def check_length(value: Tensor | Sequence[Any], length: int, name: str) -> None:
    """That there is one entry a box."""
    if len(value) != length:
        raise ValueError(f"`{name}` must have one entry a box ({length}), but has {len(value)}")


def check_integers(value: Tensor, name: str) -> None:
    """That they are integers Tensor[N]."""
    if value.dim() != 1 or value.is_floating_point() or value.dtype == torch.bool:
        raise ValueError(
            f"`{name}` must be integers of shape [N], but got {value.dtype} {list(value.shape)}"
        )


def check_labels(labels: Tensor, class_names: Sequence[str]) -> None:
    """That they are indices into the class names."""
    check_integers(labels, "labels")
    if len(labels) and (int(labels.min()) < 0 or int(labels.max()) >= len(class_names)):
        raise ValueError(
            f"`labels` must lie in 0..{len(class_names) - 1}, "
            f"but reach from {int(labels.min())} to {int(labels.max())}"
        )
