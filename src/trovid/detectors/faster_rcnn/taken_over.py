"""Proposals taken over from support frames: what was found there is looked at in the target too."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import box_iou, clip_boxes_to_image, nms

SAME = 0.7
"""IoU from which a box is looked at already."""
APART = 0.5
"""IoU above which the lower of two boxes of one frame goes."""


def best_boxes(boxes: Tensor, scores: Tensor, size: tuple[int, int], count: int) -> Tensor:
    """The boxes of a frame that are most surely of some class.

    Args:
        boxes: Tensor[R, 1 or num_classes, 4].
        scores: Tensor[R, num_classes].
        size: Height and width of the frame.
        count: How many at most.

    Returns:
        Tensor[N, 5], each box with its score, best first.
    """
    best, label = scores.max(1)
    column = label if boxes.shape[1] > 1 else torch.zeros_like(label)
    clipped = clip_boxes_to_image(boxes[torch.arange(len(boxes)), column], size)
    keep = nms(clipped, best, APART)[:count]
    return torch.cat([clipped[keep], best[keep, None]], 1)


def with_taken_over(proposals: Tensor, found: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """The proposals of a target frame, and behind them what was found in other frames.

    Args:
        proposals: Tensor[R, 4].
        found: Of each support frame Tensor[N, 5] (`best_boxes`).
        size: Height and width of the frame.

    Returns:
        Tensor[R + M, 4]; of the boxes found that overlap a proposal or a surer one by `SAME` none.
    """
    others = torch.cat([proposals.new_zeros(0, 5), *found])
    boxes = clip_boxes_to_image(others[:, :4], size)
    boxes = boxes[nms(boxes, others[:, 4], SAME)]
    if len(proposals) and len(boxes):
        boxes = boxes[box_iou(boxes, proposals).amax(1) < SAME]
    return torch.cat([proposals, boxes.to(proposals.dtype)])
