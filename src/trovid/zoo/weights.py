"""Weights as safetensors that carry their recipe; nothing is ever unpickled."""

from __future__ import annotations

import dataclasses
import json
import logging
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from trovid.bounded_yaml import read_values
from trovid.detectors.building import build_detector
from trovid.detectors.contract import VideoDetector
from trovid.errors import TrovidError, shortened
from trovid.recipes import (
    Recipe,
    TrainingFreeRecipe,
    parse_recipe,
    recipe_values,
    with_temporal,
)
from trovid.recipes.ranges import check_provenance
from trovid.storage.hashes import sha256_of
from trovid.storage.state import check_names_and_shapes, load_state
from trovid.storage.tensor_files import opened, read_tensors, save_tensors

log = logging.getLogger("trovid")
SHARED = "shared"
"""Key of the metadata that names a file beside a weights file and the tensors it holds for it."""


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """Where weights come from; in the file the provenance is the key `facts` of the metadata.

    Attributes:
        recipe: The recipe they belong to.
        provenance: Seed, commit, time, machine, figures and whatever else was noted.
    """

    recipe: Recipe
    provenance: dict[str, Any]


def embedded_folder() -> Path:
    """Where the weights that come with the package lie."""
    return Path(str(resources.files("trovid.zoo"))) / "embedded"


def embedded_models() -> dict[str, Path]:
    """Name and file of the weights that come with the package."""
    return {f.stem: f for f in sorted(embedded_folder().glob("*.safetensors"))}


def save_weights(
    path: str | Path,
    detector: VideoDetector,
    recipe: Recipe,
    *,
    provenance: dict[str, Any],
    half: bool = True,
    shared: Path | None = None,
) -> None:
    """Writes a detector's weights with its recipe and card.

    A tensor with values that float16 does not hold (beyond 65504) is stored as float32, which a
    line says.

    Args:
        path: The file, which is replaced at once.
        detector: Whose weights are written.
        recipe: Its recipe.
        provenance: What the card says beyond the recipe.
        half: Whether floating-point tensors are stored as float16.
        shared: A weights file in the same folder, which then has to stay there: tensors that it
            holds under the same name with the same values are not written again.

    Raises:
        TrovidError: If a weight is not finite, or the file cannot be written; nothing is written
            then.
    """
    state = {
        key: _stored(key, value, half, path)
        for key, value in detector.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    metadata = {"recipe": json.dumps(recipe_values(recipe)), "facts": json.dumps(provenance)}
    if shared is not None:
        others, _ = read_tensors(shared)
        same = sorted(k for k, v in state.items() if k in others and _equal(v, others[k]))
        state = {key: value for key, value in state.items() if key not in same}
        said = {"file": shared.name, "sha256": sha256_of(shared), "tensors": same}
        metadata[SHARED] = json.dumps(said)
    save_tensors(Path(path), state, metadata)


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a weights file, with the tensors that a file beside it holds for it.

    Raises:
        TrovidError: If it is unreadable, or the file beside it is not there or another one.
    """
    tensors, metadata = read_tensors(path)
    if SHARED not in metadata:
        return tensors, metadata
    said = read_values(metadata[SHARED], f"{path} ({SHARED})")
    if not isinstance(said, dict):
        raise TrovidError(f"{path}: {SHARED} must be an object, but is {shortened(said)}")
    name, names = str(said.get("file")), said.get("tensors")
    beside = path.with_name(Path(name).name)
    if not isinstance(names, list) or beside.name != name or beside == path:
        raise TrovidError(f"{path}: {SHARED} must name a file beside it and some of its tensors")
    if not beside.is_file() or sha256_of(beside) != said.get("sha256"):
        raise TrovidError(
            f"{path} shares tensors with {name} as it was written with it, which must lie beside "
            "it: keep both files together"
        )
    others, _ = read_tensors(beside)
    return {**{key: others[key] for key in map(str, names) if key in others}, **tensors}, metadata


def _stored(key: str, value: Tensor, half: bool, path: str | Path) -> Tensor:
    """A tensor as the file holds it."""
    if not value.is_floating_point():
        return value
    if not torch.isfinite(value).all():
        raise TrovidError(
            f"{path} is not written: {key} holds values that are not finite; train with a lower "
            "learning rate"
        )
    if not half:
        return value
    small = value.half()
    if torch.isfinite(small).all():
        return small
    log.warning("%s: %s is beyond float16 and is stored as float32", path, key)
    return value


def read_card(path: Path) -> ModelCard:
    """The card of a weights file, without reading its tensors."""
    with opened(path) as file:
        return _card(path, dict(file.metadata() or {}))


def _card(path: Path, metadata: dict[str, str]) -> ModelCard:
    if "recipe" not in metadata:
        raise TrovidError(
            f"{path} carries no recipe, so trovid has not written it; "
            "`trovid weights convert` adds one to the original file"
        )
    recipe = parse_recipe(metadata["recipe"], f"{path} (recipe)", complete=False)
    provenance = read_values(metadata.get("facts", "{}"), f"{path} (facts)")
    if not isinstance(provenance, dict):
        raise TrovidError(f"{path}: its facts must be an object, but are {shortened(provenance)}")
    check_provenance(provenance, f"{path} (facts)")
    return ModelCard(recipe, provenance)


class _Unfilled(TorchFunctionMode):
    """Leaves new weights unfilled where others take their place.

    On "meta", numbers drawn by chance would bring the compiler along.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_) or _initialises(func):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return kwargs["out"] if "out" in kwargs else func(*args, **kwargs)


def _initialises(func: Any) -> bool:
    return getattr(func, "__module__", None) == torch.nn.init.__name__


def load_weights(
    path: str | Path, *, temporal: TrainingFreeRecipe | None = None
) -> tuple[VideoDetector, ModelCard]:
    """The detector of a weights file, in float32 and in eval mode, and its card.

    Args:
        path: The file.
        temporal: What RoI features take from support frames, in place of what the file's recipe
            says.

    Raises:
        TrovidError: If the file is unreadable, carries no recipe, or does not fit its recipe.
    """
    path = Path(path)
    tensors, metadata = read_weights(path)
    card = _card(path, metadata)
    if temporal is not None:
        card = ModelCard(with_temporal(card.recipe, temporal), card.provenance)
        tensors = {k: v for k, v in tensors.items() if not k.startswith("roi_features.extractor.")}
    with torch.device("meta"), _Unfilled():  # no more memory is asked for than the file has tensors
        state = build_detector(card.recipe).state_dict()
    check_names_and_shapes(tensors, state, str(path))
    with _Unfilled():
        detector = build_detector(card.recipe)
    load_state(detector, tensors, str(path))
    trained = card.provenance.get("temporal_trained", True)
    detector.temporal_trained = temporal is not None or trained
    return detector.eval(), card
