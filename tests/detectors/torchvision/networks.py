"""torchvision's detectors with random weights that find something in small frames."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torchvision.models import detection
from torchvision.models.detection import FasterRCNN
from torchvision.models.mobilenetv3 import InvertedResidual
from torchvision.models.resnet import Bottleneck

from trovid.detectors.faster_rcnn.detector import Detector
from trovid.inference import Predictor
from trovid.recipes import Recipe, load_recipe

SHORTER = 256


def network(name: str, classes: int = 91) -> FasterRCNN:
    """A builder's detector with random weights that finds many things, for small frames.

    It is the caller's own; what is random afterwards begins anew.
    """
    model = copy.deepcopy(_network(name, classes))
    torch.manual_seed(0)
    return model


@lru_cache(maxsize=4)
def _network(name: str, classes: int) -> FasterRCNN:
    torch.manual_seed(0)
    builder = getattr(detection, name)
    sizes = {
        "rpn_post_nms_top_n_test": 60,
        "min_size": SHORTER,
        "max_size": 320,
        "box_detections_per_img": 100_000,
    }
    model = builder(weights=None, weights_backbone=None, num_classes=classes, **sizes)
    for block in model.backbone.modules():  # or each of them would enlarge rounding
        if isinstance(block, Bottleneck):
            torch.nn.init.constant_(block.bn3.weight, 0.2)
        elif isinstance(block, InvertedResidual):
            torch.nn.init.constant_(block.block[-1][1].weight, 0.2)
    norms = [m for m in model.backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the statistics of one picture, so that features stay of order 1
    with torch.no_grad():
        images, _ = model.transform([pixels(frame())])
        model.backbone.train()(images.tensors)
    scale_outputs(model.eval())
    return model


@torch.no_grad()
def scale_outputs(model: FasterRCNN) -> None:
    """Features, deltas and logits of the order of a trained detector's, level by level.

    The logits' mean is 0, so that no class and not the background either is all that is found.
    """
    images, _ = model.transform([pixels(frame())])
    for (_, level), block in zip(
        model.backbone(images.tensors).items(), model.backbone.fpn.layer_blocks, strict=False
    ):
        last = [m for m in block.modules() if isinstance(m, torch.nn.Conv2d)][-1]
        if not any(isinstance(m, torch.nn.BatchNorm2d) for m in block.modules()):
            last.weight /= level.std()
    levels = model.backbone(images.tensors)
    torch.nn.init.normal_(model.rpn.head.bbox_pred.weight, std=0.02)
    objectness = torch.cat([o.flatten() for o in model.rpn.head(list(levels.values()))[0]])
    model.rpn.head.cls_logits.weight /= objectness.std()
    proposals, _ = model.rpn(images, levels)
    heads = model.roi_heads
    rois = heads.box_head(heads.box_roi_pool(levels, proposals, images.image_sizes))
    outputs = heads.box_predictor(rois)
    classifier = heads.box_predictor.cls_score
    classifier.weight *= 3 / outputs[0].std()
    classifier.bias -= classifier(rois).mean(0)
    heads.box_predictor.bbox_pred.weight /= outputs[1].std()


def frame(height: int = 150, width: int = 201) -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((16, 16, 1), np.uint8))[:height, :width]


def pixels(image: np.ndarray) -> torch.Tensor:
    """A frame as torchvision's detectors take it, float [3, H, W]."""
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255


def small_recipe(name: str, classes: int) -> Recipe:
    recipe = load_recipe(name)
    return replace(
        recipe,
        model=replace(recipe.model, classes=tuple(f"c{i}" for i in range(classes))),
        image=replace(recipe.image, shorter=SHORTER, longer=320),
        inference=replace(recipe.inference, max_detections=100_000),
    )


def predictor(detector: Detector, name: str, classes: int) -> Predictor:
    return Predictor(detector, small_recipe(name, classes), device="cpu")
