"""From scored boxes to the detections of a frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image


@dataclass(frozen=True, eq=False)
class ScoredBoxes:
    """What the detector says of one frame before anything is chosen.

    Attributes:
        boxes: Tensor[R, 1, 4] (one box a RoI) or Tensor[R, num_classes, 4], in pixels.
        class_scores: Tensor[R, num_classes], softmax over classes and background, without it.
    """

    boxes: Tensor
    class_scores: Tensor


def select_detections(
    scored: ScoredBoxes,
    image_size: tuple[int, int],
    *,
    score: float = 0.05,
    nms: float = 0.5,
    class_agnostic_nms: bool = False,
    max_detections: int = 100,
) -> tuple[Tensor, Tensor, Tensor]:
    """Threshold, suppression within each class or across them, the best of what is left.

    Args:
        scored: Boxes and class scores of one frame.
        image_size: Height and width that boxes are clipped to.
        score: Lowest score that is kept (exclusive).
        nms: IoU above which the lower of two boxes of a class goes; 1 keeps all.
        class_agnostic_nms: Whether boxes of different classes suppress each other too.
        max_detections: Detections at most.

    Returns:
        Boxes Tensor[N, 4], scores Tensor[N], labels Tensor[N]; best first.
    """
    roi, label = (scored.class_scores > score).nonzero(as_tuple=True)
    scores = scored.class_scores[roi, label]
    column = label if scored.boxes.shape[1] > 1 else torch.zeros_like(label)
    boxes = clip_boxes_to_image(scored.boxes[roi, column], image_size)
    finite = boxes.isfinite().all(1)  # with weights of huge values a box may be none
    boxes, scores, label = boxes[finite], scores[finite], label[finite]
    group = torch.zeros_like(label) if class_agnostic_nms else label
    keep = batched_nms(boxes, scores, group, nms)[:max_detections]
    return boxes[keep], scores[keep], label[keep]


def without_small_boxes(
    scored: ScoredBoxes, image_size: tuple[int, int], smallest: float
) -> ScoredBoxes:
    """The same with scores of 0 where a side of the box within the frame is shorter than that.

    Args:
        scored: Boxes and class scores of one frame.
        image_size: Height and width of the frame, in the pixels of the boxes.
        smallest: Length in pixels.
    """
    clipped = clip_boxes_to_image(scored.boxes, image_size)
    large = (clipped[..., 2:] - clipped[..., :2] >= smallest).all(-1)
    return ScoredBoxes(scored.boxes, scored.class_scores * large)
