"""Weights as safetensors that carry their recipe; nothing is ever unpickled."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trovid.errors import TrovidError
from trovid.files import replacing
from trovid.models.building import build_detector
from trovid.models.detector import Detector
from trovid.models.recipes import Recipe, parse_recipe, recipe_values


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """Where weights come from.

    Attributes:
        recipe: The recipe they belong to.
        facts: Seed, commit, time, machine, figures and whatever else was noted.
    """

    recipe: Recipe
    facts: dict[str, Any]


def embedded_folder() -> Path:
    """Where the weights that come with the package lie."""
    return Path(str(resources.files("trovid.models"))) / "embedded"


def embedded_models() -> dict[str, Path]:
    """Name and file of the weights that come with the package."""
    return {f.stem: f for f in sorted(embedded_folder().glob("*.safetensors"))}


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes a safetensors file under a temporary name and renames it."""
    with replacing(path) as partial:
        try:
            save_file({k: t.contiguous() for k, t in tensors.items()}, str(partial), metadata)
        except SafetensorError as error:
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        TrovidError: If there is no such file, or it is none.
    """
    with _opened(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    if not path.is_file():
        raise TrovidError(f"{path}: no such file")
    try:
        with safe_open(str(path), "pt") as file:
            yield file
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise TrovidError(
            f"{path} is not a safetensors file ({error}); `trovid weights convert` makes one of a "
            "checkpoint of PyTorch"
        ) from error


def save_weights(
    path: str | Path,
    detector: Detector,
    recipe: Recipe,
    *,
    facts: dict[str, Any],
    half: bool = True,
) -> None:
    """Writes a detector's weights with its recipe and card.

    Args:
        path: The file, which is replaced at once.
        detector: Whose weights are written.
        recipe: Its recipe.
        facts: What the card says beyond the recipe.
        half: Whether floating-point tensors are stored as float16.
    """
    state = {
        key: value.half() if half and value.is_floating_point() else value
        for key, value in detector.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    metadata = {"recipe": json.dumps(recipe_values(recipe)), "facts": json.dumps(facts)}
    save_tensors(Path(path), state, metadata)


def read_card(path: Path) -> ModelCard:
    """The card of a weights file, without reading its tensors."""
    with _opened(path) as file:
        return _card(path, dict(file.metadata() or {}))


def _card(path: Path, metadata: dict[str, str]) -> ModelCard:
    if "recipe" not in metadata:
        raise TrovidError(
            f"{path} carries no recipe, so trovid has not written it; "
            "`trovid weights convert` adds one to the original file"
        )
    recipe = parse_recipe(metadata["recipe"], f"{path} (recipe)", complete=False)
    try:
        facts = json.loads(metadata.get("facts", "{}"))
    except ValueError as error:
        raise TrovidError(
            f"{path}: its facts are not JSON ({error}); get the file again"
        ) from error
    if not isinstance(facts, dict):
        raise TrovidError(f"{path}: its facts must be an object, but are {facts!r}")
    return ModelCard(recipe, facts)


def load_weights(path: str | Path) -> tuple[Detector, ModelCard]:
    """The detector of a weights file, in float32 and in eval mode, and its card.

    Raises:
        TrovidError: If the file is unreadable, carries no recipe, or does not fit its recipe.
    """
    path = Path(path)
    tensors, metadata = read_tensors(path)
    card = _card(path, metadata)
    try:
        detector = build_detector(card.recipe)
    except (ValueError, RuntimeError) as error:
        raise TrovidError(f"{path}: its recipe makes no detector ({error})") from error
    load_state(detector, tensors, str(path))
    detector.temporal_trained = card.facts.get("temporal_trained", True)
    return detector.eval(), card


def load_state(
    detector: Detector, tensors: dict[str, Tensor], origin: str, *, partial: bool = False
) -> None:
    """Puts tensors into a detector, checking names, shapes and values.

    Args:
        detector: What is filled.
        tensors: By the names of the detector's own state.
        origin: Names the file in errors.
        partial: Whether parameters may be left as they are (a start from another detector).

    Raises:
        TrovidError: If a tensor is missing, unknown, of another shape or not finite.
    """
    own = check_state(detector, tensors, origin, partial=partial)
    with torch.no_grad():
        for key, value in tensors.items():
            own[key].copy_(value)


def check_state(
    detector: Detector, tensors: dict[str, Tensor], origin: str, *, partial: bool = False
) -> dict[str, Tensor]:
    """Checks as `load_state` does, and returns the detector's own tensors by name."""
    own = {k: v for k, v in detector.state_dict().items() if not k.endswith("num_batches_tracked")}
    unknown = sorted(tensors.keys() - own.keys())
    missing = [] if partial else sorted(own.keys() - tensors.keys())
    if unknown or missing:
        what = f"unknown: {unknown[:3]}" if unknown else f"missing: {missing[:3]}"
        raise TrovidError(
            f"{origin} holds the weights of another architecture ({what}); "
            "name the weights of this recipe, or the recipe of these weights"
        )
    for key, value in tensors.items():
        if value.shape != own[key].shape:
            raise TrovidError(
                f"{origin}: {key} must have shape {list(own[key].shape)}, "
                f"but has {list(value.shape)}"
            )
        if not torch.isfinite(value).all():
            raise TrovidError(
                f"{origin}: {key} holds values that are not finite; "
                "get the file again, or train with a lower learning rate"
            )
    return own
