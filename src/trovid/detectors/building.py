"""From a recipe to its detector."""

from __future__ import annotations

import dataclasses
from typing import Any

from trovid.backbones import ResNetBackbone, SmallBackbone, TimmBackbone
from trovid.detectors.extractors import build_pooler
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.torchvision.building import build_from_builder
from trovid.errors import OptionError, TrovidError
from trovid.nn import BoxHead, LevelPooler, RoIAlign, SimilarityAggregation
from trovid.nn.rpn import ProposalNetwork
from trovid.recipes import (
    BackboneRecipe,
    Recipe,
    ResNetBackboneRecipe,
    SmallBackboneRecipe,
    TorchvisionModelRecipe,
)


def build_detector(recipe: Recipe) -> Detector:
    """The detector of a recipe, with random weights.

    Raises:
        OptionError: If the parts do not fit each other.
        TrovidError: If the backbone's library is not installed.
    """
    try:
        return _build(recipe)
    except (ValueError, RuntimeError, IndexError, KeyError, TypeError, AssertionError) as error:
        if isinstance(error, TrovidError):
            raise
        raise OptionError(f"recipe {recipe.name} makes no detector: {error}") from error


def _build(recipe: Recipe) -> Detector:
    parts = recipe.model
    if isinstance(parts, TorchvisionModelRecipe):
        return build_from_builder(parts)
    backbone = build_backbone(parts.backbone)
    channels = backbone.level_channels
    roi, head = parts.roi, parts.box_head
    (roi_channels,) = {_channels(channels, level) for level in roi.levels}
    (rpn_channels,) = {_channels(channels, level) for level in parts.rpn.levels}
    plain = {name: getattr(roi, name) for name in ("output_size", "sampling_ratio", "aligned")}
    rpn = ProposalNetwork(in_channels=rpn_channels, **_fields(parts.rpn))
    return Detector(
        class_names=parts.classes,
        backbone=backbone,
        rpn=rpn,
        roi_features=build_pooler(roi.temporal, roi.levels, roi_channels, pooling=plain),
        support_roi_features=LevelPooler(RoIAlign(**plain), roi.levels)
        if head.selsa_heads
        else None,
        box_head=BoxHead(
            roi_channels * roi.output_size**2,
            hidden=head.hidden,
            num_classes=len(parts.classes),
            selsa_heads=head.selsa_heads,
            class_agnostic=head.class_agnostic,
        ),
        aggregation=None
        if parts.aggregation is None
        else SimilarityAggregation(
            _channels(channels, parts.aggregation.level), parts.aggregation.level
        ),
        delta_stds=head.delta_stds,
        samples=head.samples,
        positive_fraction=head.positive_fraction,
        foreground_iou=head.foreground_iou,
        smooth_l1_beta=head.smooth_l1_beta,
    )


def build_backbone(recipe: BackboneRecipe) -> SmallBackbone | ResNetBackbone | TimmBackbone:
    """The backbone of a recipe, with random weights."""
    arguments = _fields(recipe)
    if isinstance(recipe, SmallBackboneRecipe):
        del arguments["name"]
        return SmallBackbone(**arguments)
    widths = zip(recipe.levels, recipe.reduction, strict=True)
    arguments["reduction"] = {level: width for level, width in widths if width}
    if isinstance(recipe, ResNetBackboneRecipe):
        return ResNetBackbone(**arguments)
    del arguments["name"]
    return TimmBackbone(**arguments)


def _channels(level_channels: dict[str, int], level: str) -> int:
    if level not in level_channels:
        raise ValueError(
            f"the RPN's and the RoIs' levels must be of {list(level_channels)}, but one is {level}"
        )
    return level_channels[level]


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
