"""The detector that a training starts with."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from trovid.detectors.building import build_detector
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.recipes import Recipe
from trovid.storage.state import load_state
from trovid.storage.tensor_files import read_tensors
from trovid.zoo.backbone_start import start_backbone
from trovid.zoo.class_transfer import transfer_classes
from trovid.zoo.weights import read_card

log = logging.getLogger("trovid")


def initial_detector(
    recipe: Recipe, *, seed: int, start: Path | None, backbone: Path | None = None
) -> Detector:
    """The detector of a recipe with random weights by seed, or with those of another detector.

    Of a detector of other classes the rows of the classes with the same name are taken. With
    `backbone` its backbone alone begins with the weights of a file (`start_backbone`).
    """
    torch.manual_seed(seed)
    detector = build_detector(recipe)
    if start is not None:
        tensors, _ = read_tensors(start)
        classes = read_card(start).recipe.model.classes
        own = detector.state_dict()
        tensors = transfer_classes(tensors, own, classes, recipe.model.classes)
        load_state(detector, tensors, str(start), partial=True)
    if backbone is not None:
        log.info("%s", start_backbone(detector, backbone))
    return detector.to(memory_format=torch.channels_last)
