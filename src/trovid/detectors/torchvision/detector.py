"""torchvision's two-stage detectors as a start: their parts and weights in a Detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import (
    FastRCNNConvFCHead,
    FastRCNNPredictor,
    TwoMLPHead,
)

from trovid.detectors.extractors import build_pooler
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.masktrack.detector import MaskTrackRCNN
from trovid.detectors.torchvision.backbone import TorchvisionBackbone
from trovid.detectors.torchvision.masks import mask_parts
from trovid.nn import BoxHead
from trovid.nn.batch_norm import FixedStatistics
from trovid.nn.rpn import ProposalNetwork
from trovid.recipes import SupportRecipe, TemporalRecipe, TrainingFreeRecipe

COCO_OUTPUTS = 91
COCO_UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""torchvision's COCO labels that stand for no class."""
SMALLEST_BOX = 1e-2
"""Sides in pixels from which torchvision keeps a box."""


def from_torchvision(
    model: FasterRCNN,
    *,
    class_names: Sequence[str] | None = None,
    unused: Sequence[int] | None = None,
    temporal: bool | Literal["training-free"] | SupportRecipe = True,
    searched: str = "own",
    top_k: int = 4,
    num_heads: int = 4,
    embedding: Literal["grouped", "dense"] = "grouped",
    bias: bool = True,
    logit_scale: float = 1.0,
    masks: bool = True,
) -> Detector:
    """A Detector with backbone, FPN, RPN and box head of one of torchvision's detectors.

    Without support frames it finds what torchvision's finds. With them it is the start of a
    fine-tuning: the embedding of the temporal attention is new, so until then a Predictor runs it
    on single frames (`Detector.temporal_trained`), unless it is "training-free". Modules are taken
    over, not copied; BatchNorm keeps its statistics in training. Keypoints are left behind.

    Args:
        model: Faster R-CNN, Mask R-CNN, or Keypoint R-CNN, of which the boxes are used.
        class_names: Names of the classes; None for "class 1" and so on.
        unused: torchvision's labels that stand for no class, whose probability goes to the
            background; None for those of COCO where the model has its 91 outputs, else none.
        temporal: Whether to pool with Temporal RoI Align, or with plain RoIAlign;
            "training-free" for the form that has no weights to train, or a recipe of what RoI
            features take from support frames (`trovid.recipes`), which then says the rest.
        searched: The level of the support frames that a proposal searches: its "own" or the
            "last".
        top_k: K, the most similar cells taken from each support frame.
        num_heads: N, groups of channels in the attention.
        embedding: "grouped" (the paper) or "dense" (the published code).
        bias: Whether the embedding has a bias.
        logit_scale: Factor of the attention's logits.
        masks: Whether the mask head is taken over, where there is one.

    Raises:
        TypeError: If it is none of these detectors.
        ValueError: If a part is of a kind that a Detector does not have.

    Example:
        >>> from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn
        >>> network = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
        >>> detector = from_torchvision(network)
        >>> detector.box_head.num_classes, detector.searched_levels
        (80, ('0',))
    """
    if not isinstance(model, FasterRCNN):
        raise TypeError(
            f"`model` must be a FasterRCNN of torchvision (or Mask or Keypoint R-CNN), "
            f"but is {type(model).__name__}"
        )
    heads: Any = model.roi_heads
    backbone = TorchvisionBackbone(model.backbone)
    pool = heads.box_roi_pool
    levels = _pooled_levels(backbone, pool.featmap_names)
    if temporal is True:
        temporal = TemporalRecipe(
            top_k=top_k,
            num_heads=num_heads,
            embedding=embedding,
            bias=bias,
            logit_scale=logit_scale,
        )
    elif temporal == "training-free":
        temporal = TrainingFreeRecipe()
    recipe = temporal or None
    roi_features = build_pooler(
        recipe,
        levels,
        backbone.level_channels[levels[0]],
        pooling={"output_size": pool.output_size, "sampling_ratio": pool.sampling_ratio},
        searched=searched,
        canonical_scale=pool.canonical_scale,
        canonical_level=pool.canonical_level,
    )
    x, y, width, height = (1 / weight for weight in heads.box_coder.weights)
    box_head = _box_head(heads.box_head, heads.box_predictor, unused)
    if class_names is None:
        class_names = [f"class {number}" for number in range(1, box_head.num_classes + 1)]
    parts: dict[str, Any] = {
        "class_names": class_names,
        "backbone": backbone,
        "rpn": _rpn(model.rpn, backbone.levels),
        "roi_features": roi_features,
        "box_head": box_head,
        "delta_stds": (x, y, width, height),
        "samples": heads.fg_bg_sampler.batch_size_per_image,
        "positive_fraction": heads.fg_bg_sampler.positive_fraction,
        "foreground_iou": heads.proposal_matcher.high_threshold,
        "smooth_l1_beta": 1 / 9,
        "smallest_box": SMALLEST_BOX,
    }
    if masks and heads.has_mask():
        outputs = heads.box_predictor.cls_score.out_features
        left_out = _unused(outputs, unused)
        labels = [label for label in range(1, outputs) if label not in left_out]
        detector = MaskTrackRCNN(**parts, **mask_parts(heads, levels, labels))
    else:
        detector = Detector(**parts)
    detector.temporal_trained = recipe is None or isinstance(recipe, TrainingFreeRecipe)
    return detector.eval()


def _rpn(rpn: Any, levels: Sequence[str]) -> ProposalNetwork:
    """The same network with the parts of torchvision's, on the named levels."""
    matcher, sampler = rpn.proposal_matcher, rpn.fg_bg_sampler
    pre_nms, post_nms = zip(*(_kept(rpn, training) for training in (True, False)), strict=True)
    network = ProposalNetwork(
        in_channels=rpn.head.cls_logits.in_channels,
        levels=levels,
        anchor_sizes=rpn.anchor_generator.sizes,
        aspect_ratios=rpn.anchor_generator.aspect_ratios,
        pre_nms=pre_nms,
        post_nms=post_nms,
        nms=rpn.nms_thresh,
        samples=sampler.batch_size_per_image,
        positive_fraction=sampler.positive_fraction,
        foreground_iou=matcher.high_threshold,
        background_iou=matcher.low_threshold,
        lowest_score=rpn.score_thresh,
    )
    for part in ("conv", "cls_logits", "bbox_pred"):
        setattr(network.head, part, getattr(rpn.head, part))
    return network


def _kept(rpn: Any, training: bool) -> tuple[int, int]:
    """How many proposals are kept before and after suppression, in training or at test."""
    mode, rpn.training = rpn.training, training
    kept = rpn.pre_nms_top_n(), rpn.post_nms_top_n()
    rpn.training = mode
    return kept


def _pooled_levels(backbone: TorchvisionBackbone, names: Sequence[str]) -> list[str]:
    """The levels that are pooled from: of several with one stride torchvision uses the first."""
    known = [name for name in names if name in backbone.levels]
    strides = [backbone.strides[name] for name in known]
    return [name for i, name in enumerate(known) if strides[i] not in strides[:i]]


def _unused(outputs: int, unused: Sequence[int] | None) -> Sequence[int]:
    """The labels that stand for no class."""
    if unused is not None:
        return unused
    return COCO_UNUSED if outputs == COCO_OUTPUTS else ()


def _box_head(head: nn.Module, predictor: nn.Module, unused: Sequence[int] | None) -> BoxHead:
    if not isinstance(predictor, FastRCNNPredictor):
        raise ValueError(f"the box predictor must be a FastRCNNPredictor, but is {predictor}")
    convolutions: nn.Module | None = None
    if isinstance(head, TwoMLPHead):
        layers = [head.fc6, head.fc7]
    elif isinstance(head, FastRCNNConvFCHead):
        layers = [part for part in head if isinstance(part, nn.Linear)]
        convolutions = FixedStatistics(*(p for p in head if isinstance(p, nn.Sequential)))
    else:
        raise ValueError(f"the box head must be a TwoMLPHead or FastRCNNConvFCHead, but is {head}")
    outputs = predictor.cls_score.out_features
    unused = _unused(outputs, unused)
    classes = [label for label in range(1, outputs) if label not in unused]
    box_head = BoxHead(
        layers[0].in_features,
        hidden=[layer.out_features for layer in layers],
        num_classes=len(classes),
        class_agnostic=False,
        background_logits=1 + len(unused),
        convolutions=convolutions,
    ).to(predictor.cls_score.weight.device)
    for mine, theirs in zip(box_head.layers, layers, strict=True):
        mine.weight, mine.bias = theirs.weight, theirs.bias
    rows = [*classes, 0, *unused]
    with torch.no_grad():
        for mine, theirs, per_class, chosen in (
            (box_head.class_logits, predictor.cls_score, 1, rows),
            (box_head.box_deltas, predictor.bbox_pred, 4, classes),
        ):
            for name in ("weight", "bias"):
                value = getattr(theirs, name)
                picked = value.unflatten(0, (outputs, per_class))[chosen].flatten(0, 1)
                getattr(mine, name).copy_(picked)
    return box_head
