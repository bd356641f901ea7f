"""The detector that a training starts with."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import torch

from trovid.detectors.building import build_detector
from trovid.detectors.contract import VideoDetector
from trovid.errors import TrovidError
from trovid.recipes import ModelRecipe, Recipe, load_recipe
from trovid.storage.state import check_names_and_shapes, load_state
from trovid.training.best_start import account, fitting
from trovid.zoo.backbone_start import start_backbone
from trovid.zoo.class_transfer import transfer_classes
from trovid.zoo.registry import backbone_checkpoints, checkpoints
from trovid.zoo.torchvision_start import in_own_names
from trovid.zoo.weights import ModelCard, read_card, read_weights

log = logging.getLogger("trovid")
UNTRAINED = {"temporal_trained": False}
"""Provenance of what torchvision publishes."""


def check_names(recipe: Recipe, *, start: str | None, backbone: str | None) -> None:
    """Refuses published weights of another architecture before they are downloaded.

    Args:
        recipe: What is to be trained.
        start: A file, or the name of a model, to begin from.
        backbone: A file, or the name of a backbone, to begin the backbone with; where the recipe
            starts from another one, that one's.

    Raises:
        TrovidError: If they cannot fit the recipe.
    """
    published = backbone_checkpoints().get(backbone or "")
    if published is not None:
        first = recipe.training.start
        root = recipe if start is not None or first is None else load_recipe(first)
        model = root.model
        backbone_name = model.backbone.name if isinstance(model, ModelRecipe) else model.name
        if published.recipe != backbone_name:
            raise TrovidError(
                f"{backbone} are the weights of a {published.recipe}, but the backbone of recipe "
                f"{root.name} is a {backbone_name}: leave out `backbone`, or name one of its kind"
            )
    of_model = checkpoints().get(start or "")
    if of_model is not None and of_model.has_recipe:
        other = load_recipe(of_model.recipe)
        with torch.device("meta"):
            theirs, own_state = (build_detector(r).state_dict() for r in (other, recipe))
        theirs = in_own_names(theirs, ModelCard(other, UNTRAINED), recipe, own_state)
        theirs = transfer_classes(theirs, own_state, other.model.classes, recipe.model.classes)
        check_names_and_shapes(theirs, own_state, str(start), partial=True)


def initial_detector(
    recipe: Recipe,
    *,
    seed: int,
    start: Path | None,
    backbone: Path | None = None,
    say: Callable[[str], None] = log.info,
) -> VideoDetector:
    """The detector of a recipe with random weights by seed, or with those of another detector.

    Of a detector of other classes the rows of the classes with the same name are taken. Weights of
    torchvision's detector with the same network start one of trovid's own too (`in_own_names`).
    For one's own data (`training.own_data`) what fits of another architecture is taken. In both
    cases `say` is told what begins at random. With `backbone` its backbone alone begins with the
    weights of a file (`start_backbone`).
    """
    torch.manual_seed(seed)
    detector = build_detector(recipe)
    if start is not None:
        given, _ = read_weights(start)
        card, state = read_card(start), detector.state_dict()
        tensors = in_own_names(given, card, recipe, state)
        if recipe.training.own_data or tensors.keys() != given.keys():
            say(str(account(start, recipe, given, state)))
        classes = card.recipe.model.classes
        tensors = transfer_classes(tensors, state, classes, recipe.model.classes)
        if recipe.training.own_data:
            tensors, _ = fitting(tensors, state)
        load_state(detector, tensors, str(start), partial=True)
    if backbone is not None:
        say(str(start_backbone(detector, backbone)))
    return detector.to(memory_format=torch.channels_last)
