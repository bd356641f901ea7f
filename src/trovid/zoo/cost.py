"""What a recipe's detector costs: parameters, and floating-point operations of a target frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

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
        operator_gflop: What support frames add to RoI features or maps by the equations as they
            are written; for Temporal RoI Align (Eq. 2 to 8) the inner products with every cell of
            every support map (of several levels: the finest), and the embedding of T + 1 sets, of
            which backends of trovid need fewer; for FGFA's aggregation T + 1 embedded maps,
            cosines and sums.
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
    detector = _on_paper(recipe)
    with torch.device("meta"), torch.no_grad():
        rois = detector.rpn.post_nms[1]
        counts = _counted(detector, recipe.image, rois, rois * support_frames, support_frames)
    return Cost(
        parameters=sum(p.numel() for p in detector.parameters()),
        detector_gflop=(counts.backbone + counts.rpn + counts.head) / GIGA,
        operator_gflop=counts.operator / GIGA,
    )


def step_gflop(recipe: Recipe) -> float:
    """10^9 operations of a training step: three times its forward pass, as is customary.

    The forward pass is that of box detectors, as `cost` counts it; frozen parts are not taken off.
    """
    settings, detector = recipe.training, _on_paper(recipe)
    frames = settings.batch * (settings.support_frames + 1)
    targets = frames if settings.mutual_support else settings.batch
    with torch.device("meta"), torch.no_grad():
        support = settings.support_frames if detector.uses_support else 0
        proposals, samples = detector.rpn.post_nms[0], detector.sampler.samples
        counts = _counted(detector, recipe.image, samples, proposals * support, support)
    looked_at = frames if support else targets
    embedded = looked_at if detector.box_head.uses_support else 0
    forward = looked_at * counts.backbone + targets * (counts.rpn + counts.head + counts.operator)
    forward += embedded * (counts.rpn + counts.embedding * proposals)
    return 3 * forward / GIGA


class _Counts(NamedTuple):
    """Operations of a target frame by part, and SELSA's of a support proposal."""

    backbone: int
    rpn: int
    head: int
    operator: int
    embedding: int


def _on_paper(recipe: Recipe) -> Any:
    with torch.device("meta"):
        return build_detector(recipe)


def _counted(
    detector: Any, image: Any, rois: int, support_proposals: int, support_frames: int
) -> _Counts:
    height, width = (
        -(-side // image.divisor) * image.divisor for side in (image.shorter, image.longer)
    )
    detector.eval()
    head, pool = detector.box_head, detector.roi_features
    with FlopCounterMode(display=False) as counter:
        levels = detector.backbone(torch.empty(1, 3, height, width))
    backbone = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        detector.rpn.head([levels[name] for name in detector.rpn.levels])
    rpn = counter.get_total_flops()
    level = levels[pool.searched_level(pool.featmap_names[0])]
    widths = head.widths if head.uses_support else []
    support: SupportEmbedding = [
        (torch.empty(support_proposals, width), torch.empty(support_proposals, width))
        for width in widths
    ]
    with FlopCounterMode(display=False) as counter:
        found = torch.empty(rois, level.shape[1], *pool.output_size)
        head(found, [rois], [support] if widths else None)
    of_head = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        if widths:
            head.embed_support(found[:1])
    _, channels, *size = level.shape
    operator = pool.extractor.operations(rois, (channels, *size), support_frames)
    if detector.aggregation is not None:
        _, channels, *size = levels[detector.aggregation.level].shape
        operator += detector.aggregation.operations((channels, *size), support_frames)
    return _Counts(backbone, rpn, of_head, operator, counter.get_total_flops())
