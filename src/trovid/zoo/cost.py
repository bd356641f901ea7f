"""What a recipe's detector costs: parameters, and floating-point operations of a target frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from trovid.detectors.building import build_detector
from trovid.nn.box_head import SupportEmbedding
from trovid.recipes import Recipe

GIGA = 1e9


@dataclass(frozen=True)
class Cost:
    """What a detector needs for a target frame whose support bank is filled.

    A multiplication and an addition count as two operations.

    Attributes:
        parameters: Number of parameters.
        detector_gflop: Backbone, RPN and box head, 10^9 operations.
        operator_gflop: What support frames add to RoI features by the equations as they are
            written; for Temporal RoI Align (Eq. 2 to 8) the inner products with every cell of
            every support map (of several levels: the finest), and the embedding of T + 1 sets.
            Backends of trovid need fewer.
    """

    parameters: int
    detector_gflop: float
    operator_gflop: float


def cost(recipe: Recipe, *, support_frames: int = 14) -> Cost:
    """The cost of a recipe at its own image size; nothing is computed.

    Args:
        recipe: The recipe.
        support_frames: T.

    Example:
        >>> from trovid.recipes import load_recipe
        >>> cost(load_recipe("mmtracking/selsa-troi-r50")).parameters
        78236435
    """
    image = recipe.image
    height, width = (
        -(-side // image.divisor) * image.divisor for side in (image.shorter, image.longer)
    )
    with torch.device("meta"), torch.no_grad():
        detector: Any = build_detector(recipe).eval()
        proposals, head = detector.rpn.post_nms[1], detector.box_head
        pool = detector.roi_features
        with FlopCounterMode(display=False) as counter:
            levels = detector.backbone(torch.empty(1, 3, height, width))
            detector.rpn.head([levels[name] for name in detector.rpn.levels])
            level = levels[pool.searched_level(pool.featmap_names[0])]
            found = proposals * support_frames
            widths = head.widths if head.uses_support else []
            support: SupportEmbedding = [
                (torch.empty(found, width), torch.empty(found, width)) for width in widths
            ]
            rois = torch.empty(proposals, level.shape[1], *pool.output_size)
            head(rois, [proposals], [support] if widths else None)
    _, channels, *size = level.shape
    operator = pool.extractor.operations(proposals, (channels, *size), support_frames)
    return Cost(
        parameters=sum(p.numel() for p in detector.parameters()),
        detector_gflop=counter.get_total_flops() / GIGA,
        operator_gflop=operator / GIGA,
    )
