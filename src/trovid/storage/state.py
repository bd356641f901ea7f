"""Tensors into a module, checked."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trovid.errors import TrovidError, shortened
from trovid.storage.torch_checkpoints import REAL


def load_state(
    module: nn.Module, tensors: dict[str, Tensor], origin: str, *, partial: bool = False
) -> None:
    """Puts tensors into a module, checking names, shapes and values.

    Args:
        module: What is filled.
        tensors: By the names of the module's own state.
        origin: Names the file in errors.
        partial: Whether parameters may be left as they are (a start from another detector).

    Raises:
        TrovidError: If a tensor is missing, unknown, of another shape or not finite.
    """
    state = check_state(module, tensors, origin, partial=partial)
    with torch.no_grad():
        for key, value in tensors.items():
            state[key].copy_(value)


def check_state(
    module: nn.Module, tensors: dict[str, Tensor], origin: str, *, partial: bool = False
) -> dict[str, Tensor]:
    """Checks as `load_state` does, and returns the module's own tensors by name."""
    state = {k: v for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")}
    check_names_and_shapes(tensors, state, origin, partial=partial)
    for key, value in tensors.items():
        if not torch.isfinite(value).all():
            raise TrovidError(
                f"{origin}: {key} holds values that are not finite; "
                "get the file again, or train with a lower learning rate"
            )
    return state


def check_names_and_shapes(
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    origin: str,
    *,
    partial: bool = False,
) -> None:
    """That tensors are those of an architecture, by name and shape.

    Args:
        tensors: What is checked.
        state: What the architecture has.
        origin: Names the file in errors.
        partial: Whether some may be missing.

    Raises:
        TrovidError: If a tensor is missing, unknown or of another shape.
    """
    tensors, state = (
        {k: v for k, v in of.items() if not k.endswith("num_batches_tracked")}
        for of in (tensors, state)
    )
    unknown = sorted(tensors.keys() - state.keys())
    missing = [] if partial else sorted(state.keys() - tensors.keys())
    if unknown or missing:
        what = f"unknown: {shortened(unknown[:3])}" if unknown else f"missing: {missing[:3]}"
        raise TrovidError(
            f"{origin} holds the weights of another architecture ({what}); "
            "name the weights of this recipe, or the recipe of these weights"
        )
    for key, value in tensors.items():
        if value.shape != state[key].shape:
            raise TrovidError(
                f"{origin}: {key} must have shape {list(state[key].shape)}, "
                f"but has {list(value.shape)}"
            )
        if state[key].is_floating_point() and value.dtype not in REAL:
            raise TrovidError(f"{origin}: {key} must be floating-point, but is {value.dtype}")
