"""Checkpoints of a training: model, optimiser and step in one safetensors file."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trovid.errors import TrovidError
from trovid.recipes import Recipe, differences, parse_recipe, recipe_values
from trovid.storage.tensor_files import read_tensors, save_tensors

STATE: dict[type[torch.optim.Optimizer], frozenset[str]] = {
    torch.optim.AdamW: frozenset(("step", "exp_avg", "exp_avg_sq")),
    torch.optim.SGD: frozenset(("momentum_buffer",)),
}
"""What an optimiser keeps of each parameter."""
NEVER_NEGATIVE = ("step", "exp_avg_sq")
MOST_SECONDS = 10**8
EARLIER_CAP = 100_000
"""Of `training.videos` in the recipes that take all videos now."""
CURE = "choose another `out` or delete it"


@dataclass(frozen=True)
class Position:
    """How far a training has come.

    Attributes:
        step: Steps done.
        seconds: Time used.
        precision: "bfloat16" or "float32", kept to the end.
        processor_seconds: Of this process; None where an earlier version did not count them.
    """

    step: int
    seconds: float
    precision: str
    processor_seconds: float | None = None


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Position,
    *,
    seed: int,
    recipe: Recipe,
    origin: Mapping[str, str] | None = None,
) -> None:
    """Writes everything that a training needs to go on, under a temporary name first.

    Args:
        path: The file.
        model: What is trained.
        optimizer: Its optimiser.
        position: How far the training has come.
        seed: Of the training.
        recipe: Of the training.
        origin: What else the training is made of (its data, its start): a name and a digest each.

    Raises:
        TrovidError: If a value is not finite, or the file cannot be written; what was there stays.
    """
    tensors: dict[str, Tensor] = {f"model/{k}": v for k, v in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer/{index}/{k}": torch.as_tensor(v) for k, v in state.items()})
    for key, value in tensors.items():
        if not torch.isfinite(value).all():
            raise TrovidError(
                f"{path} is not written at step {position.step}: {key} holds values that are not "
                "finite; an earlier checkpoint stays; train with a lower learning rate"
            )
    head = {
        **dataclasses.asdict(position),
        "seed": seed,
        "recipe": recipe_values(recipe),
        "origin": dict(origin or {}),
        "tensors": len(tensors),
    }
    text = {"head": json.dumps(head)}
    save_tensors(path, {k: v.detach().clone() for k, v in tensors.items()}, text)


def load_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    seed: int,
    recipe: Recipe,
    origin: Mapping[str, str] | None = None,
) -> Position:
    """Fills model and optimiser; returns how far the training had come.

    Raises:
        TrovidError: If the file is no whole checkpoint, or one of another training; model and
            optimiser are as they were then.
    """
    tensors, metadata = read_tensors(path)
    head = _head(path, metadata)
    saved_recipe = parse_recipe(json.dumps(head.get("recipe")), str(path), complete=False)
    if head.get("seed") != seed:
        raise TrovidError(
            f"{path} is a checkpoint of another recipe or seed (seed {head.get('seed')}): {CURE}"
        )
    if saved_recipe.training.videos == EARLIER_CAP and recipe.training.videos is None:
        # its data tell which
        saved_recipe = replace(saved_recipe, training=replace(saved_recipe.training, videos=None))
    if saved_recipe != recipe:
        found = differences(saved_recipe, recipe).items()
        changed = [f"{key} was {old!r}, is {new!r}" for key, (old, new) in found]
        words = "; ".join(changed[:3]) + (f"; {len(changed) - 3} more" if len(changed) > 3 else "")
        raise TrovidError(f"{path} is a checkpoint of another recipe or seed ({words}): {CURE}")
    before = head.get("origin", {})
    if not isinstance(before, dict):
        raise _broken(path, "its origin is none")
    for name, digest in (origin or {}).items():
        if before.get(name, digest) != digest:  # the first checkpoints did not say it
            raise TrovidError(
                f"{path} is a checkpoint of a training whose {name} was another: give the same "
                f"{name} again, or {CURE}"
            )
    position = _position(path, head, recipe)
    if head.get("tensors", len(tensors)) != len(tensors):
        raise _broken(path, f"it holds {len(tensors)} tensors of {head['tensors']!r}")
    values = {k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")}
    _check_model(path, values, model.state_dict())
    state = _optimizer_state(path, tensors, optimizer)
    model.load_state_dict(values)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return position


def _broken(path: Path, reason: str) -> TrovidError:
    return TrovidError(f"{path} is no whole checkpoint of a training ({reason}): {CURE}")


def _head(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        head = json.loads(metadata.get("head", ""))
    except (ValueError, RecursionError) as error:
        raise _broken(path, "its head is no JSON") from error
    if not isinstance(head, dict):
        raise _broken(path, "its head is no object")
    return head


def _position(path: Path, head: Mapping[str, Any], recipe: Recipe) -> Position:
    step, seconds, last = head.get("step"), head.get("seconds"), recipe.training.steps
    if not isinstance(step, int) or isinstance(step, bool) or not 1 <= step <= last:
        raise _broken(path, f"its step must lie in 1..{last}, but is {str(step)[:40]}")
    used = head.get("processor_seconds")
    known = _seconds(path, seconds), None if used is None else _seconds(path, used)
    usual = "bfloat16" if recipe.training.bfloat16 else "float32"  # as checkpoints without it did
    precision = head.get("precision", usual)
    if precision not in ("bfloat16", "float32"):
        raise _broken(path, f"its precision is {str(precision)[:40]!r}")
    return Position(step, known[0], precision, processor_seconds=known[1])


def _seconds(path: Path, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= MOST_SECONDS:
        raise _broken(path, f"its seconds must lie in 0..{MOST_SECONDS}, but are {str(value)[:40]}")
    return float(value)


def _check_model(
    path: Path, values: Mapping[str, Tensor], model_state: Mapping[str, Tensor]
) -> None:
    odd = sorted(values.keys() ^ model_state.keys())
    if odd:
        raise _broken(path, f"the model has other tensors: {odd[0]}")
    for key, value in values.items():
        _check_tensor(path, key, value, model_state[key])


def _check_tensor(path: Path, key: str, value: Tensor, like: Tensor) -> None:
    if (value.shape, value.dtype) != (like.shape, like.dtype):
        wanted, there = (f"{list(tensor.shape)} of {tensor.dtype}" for tensor in (like, value))
        raise _broken(path, f"{key} must have shape {wanted}, but has {there}")
    if not torch.isfinite(value).all():
        raise _broken(path, f"{key} holds values that are not finite")


def _optimizer_state(
    path: Path, tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[int, dict[str, Tensor]]:
    """By parameter what the optimiser keeps of it."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if not key.startswith("optimizer/"):
            continue
        _, _, rest = key.partition("/")
        index, _, name = rest.partition("/")
        if not re.fullmatch(r"\d{1,6}", index) or int(index) >= len(parameters):
            raise _broken(path, f"no parameter belongs to {key}")
        like = torch.zeros(()) if name == "step" else parameters[int(index)]
        _check_tensor(path, key, value, like)
        if name in NEVER_NEGATIVE and (value < 0).any():
            raise _broken(path, f"{key} holds values below 0")
        state.setdefault(int(index), {})[name] = value
    wanted = STATE[type(optimizer)]
    if not state or any(parameter_state.keys() != wanted for parameter_state in state.values()):
        raise _broken(path, "the optimiser's state is not there, or another optimiser's")
    return state
