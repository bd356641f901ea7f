"""From a recipe that names one of torchvision's builders to its detector."""

from __future__ import annotations

import torchvision
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.ops import FrozenBatchNorm2d

from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.torchvision.detector import from_torchvision
from trovid.recipes import TorchvisionModelRecipe


def build_from_builder(recipe: TorchvisionModelRecipe) -> Detector:
    """The detector of a recipe that names torchvision's builder, with random weights."""
    return take_over(torchvision_network(recipe), recipe)


def torchvision_network(recipe: TorchvisionModelRecipe) -> FasterRCNN:
    """The detector of a recipe as torchvision builds it, with random weights."""
    builder = getattr(torchvision.models.detection, recipe.name)
    outputs = len(recipe.classes) + len(recipe.unused) + 1
    if max(recipe.unused, default=0) >= outputs:
        raise ValueError(
            f"model.unused has label {max(recipe.unused)}, but with {len(recipe.classes)} classes "
            f"the labels end at {outputs - 1}: give model.unused=[] for classes of your own"
        )
    return builder(weights=None, weights_backbone=None, num_classes=outputs)


def take_over(network: FasterRCNN, recipe: TorchvisionModelRecipe) -> Detector:
    """The detector of a recipe with the parts of torchvision's network."""
    detector = from_torchvision(
        network,
        class_names=recipe.classes,
        unused=recipe.unused,
        temporal=recipe.temporal or False,
        searched=recipe.searched,
        masks=recipe.masks,
    )
    detector.temporal_trained = True
    body = detector.backbone.get_submodule("network.body")
    for name in recipe.frozen:
        body.get_submodule(name).requires_grad_(False)
    for module in detector.backbone.modules():
        if isinstance(module, nn.BatchNorm2d | FrozenBatchNorm2d):
            module.eps = recipe.norm_eps
    return detector
