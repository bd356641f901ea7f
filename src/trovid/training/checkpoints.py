"""Checkpoints of a training: model, optimiser and step in one safetensors file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from trovid.errors import TrovidError
from trovid.recipes import Recipe, parse_recipe, recipe_values
from trovid.storage.tensor_files import read_tensors, save_tensors


@dataclass(frozen=True)
class Position:
    """How far a training has come.

    Attributes:
        step: Steps done.
        seconds: Time used.
        precision: "bfloat16" or "float32", kept to the end.
    """

    step: int
    seconds: float
    precision: str


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Position,
    *,
    seed: int,
    recipe: Recipe,
) -> None:
    """Writes everything that a training needs to go on, under a temporary name first."""
    tensors: dict[str, Tensor] = {f"model/{k}": v for k, v in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer/{index}/{k}": torch.as_tensor(v) for k, v in state.items()})
    head = {**dataclasses.asdict(position), "seed": seed, "recipe": recipe_values(recipe)}
    save_tensors(path, {k: v.detach().clone() for k, v in tensors.items()}, _text(head))


def load_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    seed: int,
    recipe: Recipe,
) -> Position:
    """Fills model and optimiser; returns how far the training had come.

    Raises:
        TrovidError: If the checkpoint is of another recipe or seed.
    """
    tensors, metadata = read_tensors(path)
    head = json.loads(metadata["head"])
    own = parse_recipe(json.dumps(head["recipe"]), str(path), complete=False)
    if head["seed"] != seed or own != recipe:
        raise TrovidError(
            f"{path} is a checkpoint of another recipe or seed: choose another `out` or delete it"
        )
    model.load_state_dict(
        {k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")}
    )
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/")
            state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    before = "bfloat16" if recipe.training.bfloat16 else "float32"  # as checkpoints without it did
    return Position(head["step"], head["seconds"], head.get("precision", before))


def _text(head: dict) -> dict[str, str]:
    return {"head": json.dumps(head)}
