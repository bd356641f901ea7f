"""From a recipe to its detector."""

from __future__ import annotations

import dataclasses
from typing import Any

from trovid.backbones import (
    Backbone,
    EfficientNetLiteBackbone,
    ResNetBackbone,
    SmallBackbone,
    TimmBackbone,
)
from trovid.detectors.contract import VideoDetector
from trovid.detectors.extractors import build_pooler
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.masktrack.detector import MaskTrackRCNN
from trovid.detectors.torchvision.building import build_from_builder
from trovid.errors import OptionError, TrovidError
from trovid.nn import BoxHead, LevelPooler, SimilarityAggregation
from trovid.nn.mask_head import MaskHead
from trovid.nn.rpn import ProposalNetwork
from trovid.nn.track_head import TrackHead
from trovid.recipes import (
    BackboneRecipe,
    EfficientNetLiteBackboneRecipe,
    ModelRecipe,
    Recipe,
    ResNetBackboneRecipe,
    RoIRecipe,
    SmallBackboneRecipe,
    TorchvisionModelRecipe,
)


def build_detector(recipe: Recipe) -> VideoDetector:
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
        if recipe.inference.support_proposals:
            raise ValueError("inference.support_proposals must be 0 with torchvision's detectors")
        return build_from_builder(parts)
    backbone = build_backbone(parts.backbone)
    channels = backbone.level_channels
    roi, head = parts.roi, parts.box_head
    (roi_channels,) = {_channels(channels, level) for level in roi.levels}
    (rpn_channels,) = {_channels(channels, level) for level in parts.rpn.levels}
    rpn = ProposalNetwork(in_channels=rpn_channels, **_fields(parts.rpn))
    aggregation = parts.aggregation
    box_parts: dict[str, Any] = {
        "class_names": parts.classes,
        "backbone": backbone,
        "rpn": rpn,
        "roi_features": _pooler(roi, roi_channels),
        "support_roi_features": _pooler(roi, roi_channels, temporal=False)
        if head.selsa_heads
        else None,
        "box_head": BoxHead(
            roi_channels * roi.output_size**2,
            hidden=head.hidden,
            num_classes=len(parts.classes),
            selsa_heads=head.selsa_heads,
            class_agnostic=head.class_agnostic,
        ),
        "aggregation": None
        if aggregation is None
        else SimilarityAggregation(_channels(channels, aggregation.level), aggregation.level),
        "delta_stds": head.delta_stds,
        "samples": head.samples,
        "positive_fraction": head.positive_fraction,
        "foreground_iou": head.foreground_iou,
        "smooth_l1_beta": head.smooth_l1_beta,
        "support_proposals": recipe.inference.support_proposals,
    }
    if parts.mask_head is None and parts.track_head is None:
        return Detector(**box_parts)
    return MaskTrackRCNN(**box_parts, **_further_heads(parts, roi_channels))


def _pooler(
    roi: RoIRecipe, channels: int, *, output_size: int | None = None, temporal: bool = True
) -> LevelPooler:
    """RoI features of a branch; its size in bins, where it is not the box branch's."""
    plain = {name: getattr(roi, name) for name in ("sampling_ratio", "aligned")}
    plain["output_size"] = output_size or roi.output_size
    chosen = roi.temporal if temporal else None
    return build_pooler(
        chosen,
        roi.levels,
        channels,
        pooling=plain,
        searched=roi.searched,
        canonical_scale=roi.canonical_scale,
    )


def _further_heads(parts: ModelRecipe, channels: int) -> dict[str, Any]:
    """The arguments of MaskTrackRCNN beyond a Detector's."""
    heads: dict[str, Any] = {}
    mask, track = parts.mask_head, parts.track_head
    for name, head in (("mask_head", mask), ("track_head", track)):
        if head is not None and head.temporal and parts.roi.temporal is None:
            raise ValueError(f"{name}.temporal needs roi.temporal, whose values it takes")
    if mask is not None:
        heads |= {
            "mask_features": _pooler(
                parts.roi, channels, output_size=mask.output_size, temporal=mask.temporal
            ),
            "mask_head": MaskHead(
                channels,
                channels=mask.channels,
                convolutions=mask.convolutions,
                num_classes=1 if mask.class_agnostic else len(parts.classes),
            ),
            "mask_threshold": mask.threshold,
        }
    if track is not None:
        heads |= {
            "track_features": _pooler(
                parts.roi, channels, output_size=track.output_size, temporal=track.temporal
            ),
            "track_head": TrackHead(channels * track.output_size**2, hidden=track.hidden),
            "track_samples": track.samples,
            "track_positive_fraction": track.positive_fraction,
            "track_iou": track.foreground_iou,
        }
    return heads


def build_backbone(recipe: BackboneRecipe) -> Backbone:
    """The backbone of a recipe, with random weights."""
    arguments = _fields(recipe)
    if isinstance(recipe, SmallBackboneRecipe):
        del arguments["name"]
        return SmallBackbone(**arguments)
    if isinstance(recipe, EfficientNetLiteBackboneRecipe):
        size = arguments.pop("name").removeprefix("efficientnet_lite")
        return EfficientNetLiteBackbone(size=int(size), **arguments)
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
