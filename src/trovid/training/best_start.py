"""The weights at hand that a training on one's own data begins with, and what they give it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.recipes import Recipe
from trovid.storage.tensor_files import opened
from trovid.zoo.class_transfer import numbers_left, transfer_classes
from trovid.zoo.published import converted_path
from trovid.zoo.registry import checkpoints
from trovid.zoo.torchvision_start import in_own_names
from trovid.zoo.weights import embedded_models, read_card

COUNTER = "num_batches_tracked"
LEAST_SHARE = 0.01
"""Of a detector's numbers, below which weights are no start."""


@dataclass(frozen=True)
class StartAccount:
    """What a training takes over from other weights.

    Attributes:
        source: The file.
        taken: Names of the tensors that were taken over, at least in part.
        random: Names of those that begin at random.
        share: Of all numbers, those that were taken over.
        classes: Those known to both by name.
        new_classes: Those whose rows of the last layers begin at random.
    """

    source: Path
    taken: tuple[str, ...]
    random: tuple[str, ...]
    share: float
    classes: tuple[str, ...]
    new_classes: tuple[str, ...] = ()

    def __str__(self) -> str:
        known = f"; of the classes {', '.join(self.classes)}" if self.classes else ""
        rows = f"the rows of {', '.join(self.new_classes)}" if self.new_classes else ""
        random = " and ".join(filter(None, [_parts(self.random), rows]))
        return (
            f"begins with {self.source.name}: {math.floor(100 * self.share)} % of the numbers are "
            f"taken over ({_parts(self.taken)}{known}); "
            + (f"at random: {random}" if random else "nothing begins at random")
        )


def fitting(
    tensors: Mapping[str, Tensor], detector_state: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors that are among a detector's by name and shape; the names of its others."""
    taken = {
        k: v
        for k, v in tensors.items()
        if k in detector_state and v.shape == detector_state[k].shape
    }
    return taken, [
        name for name in detector_state if name not in taken and not name.endswith(COUNTER)
    ]


def account(
    source: Path,
    recipe: Recipe,
    tensors: Mapping[str, Tensor],
    detector_state: Mapping[str, Tensor],
) -> StartAccount:
    """What the tensors of a file, as it holds them, give to a detector of a recipe."""
    card = read_card(source)
    known, wanted = card.recipe.model.classes, recipe.model.classes
    values = in_own_names(tensors, card, recipe, detector_state)
    state = dict(detector_state)
    left = numbers_left(values, state, known, wanted)
    fit, random = fitting(transfer_classes(values, state, known, wanted), detector_state)
    taken = [name for name in fit if left.get(name, 0) < detector_state[name].numel()]
    random += [name for name in fit if name not in taken]
    numbers = sum(detector_state[name].numel() - left.get(name, 0) for name in taken)
    total = sum(
        value.numel() for name, value in detector_state.items() if not name.endswith(COUNTER)
    )
    shared = tuple(name for name in wanted if name in known)
    partly = any(name in left for name in taken)
    new = tuple(name for name in wanted if name not in known) if partly else ()
    return StartAccount(source, tuple(taken), tuple(random), numbers / max(1, total), shared, new)


def best_start(recipe: Recipe) -> Path | None:
    """Of the weights that are here the file that gives a recipe's detector most.

    Embedded models and those that were downloaded and converted before are looked at; nothing is
    downloaded. Of equals the one that knows more of the classes.

    Returns:
        None where none gives it anything.
    """
    with torch.device("meta"):
        detector_state = build_detector(recipe).state_dict()
    found: list[tuple[float, int, str, Path]] = []
    files = [*embedded_models().values(), *map(converted_path, checkpoints().values())]
    for file in files:
        if not file.exists():
            continue
        try:
            tensors = _shapes(file)
        except TrovidError:
            continue
        says = account(file, recipe, tensors, detector_state)
        if says.share >= LEAST_SHARE:
            found.append((says.share, len(says.classes), file.stem, file))
    return max(found)[-1] if found else None


def _shapes(file: Path) -> dict[str, Tensor]:
    """Tensors of a file's shapes without values."""
    with opened(file) as weights:
        return {
            name: torch.empty(weights.get_slice(name).get_shape(), device="meta")
            for name in weights.keys()  # noqa: SIM118 - no mapping
        }


def _parts(names: Iterable[str]) -> str:
    """The parts of a detector that tensors belong to."""
    parts = dict.fromkeys(".".join(name.split(".")[:2]) for name in names)
    whole = dict.fromkeys(part.split(".")[0] for part in parts)
    many = {top: [part for part in parts if part.split(".")[0] == top] for top in whole}
    return ", ".join(top if len(of) > 3 else ", ".join(of) for top, of in many.items())
