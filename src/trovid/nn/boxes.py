"""Boxes: the deltas that lead from one to another, suppression, and the choice of detections."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image, nms

LARGEST_GROWTH = math.log(1000 / 16)
"""Of the logarithm of a side, so that its exponential stays finite."""


@dataclass(frozen=True)
class BoxCoder:
    """Boxes as deltas from other ones (Ren et al., Faster R-CNN, 2015, Eq. 2).

    Attributes:
        weights: Factors of the deltas of centre x, centre y, width and height.
    """

    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)

    def encode(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """The deltas Tensor[R, 4] from each of `anchors` Tensor[R, 4] to its one of `boxes`."""
        x, y, width, height = _centres_and_sides(boxes)
        own_x, own_y, own_width, own_height = _centres_and_sides(anchors)
        wx, wy, ww, wh = self.weights
        return torch.stack(
            [
                wx * (x - own_x) / own_width,
                wy * (y - own_y) / own_height,
                ww * torch.log(width / own_width),
                wh * torch.log(height / own_height),
            ],
            dim=1,
        )

    def decode(self, deltas: Tensor, anchors: Tensor) -> Tensor:
        """The boxes Tensor[R, K, 4] that K deltas each, Tensor[R, 4 * K], make of Tensor[R, 4]."""
        dx, dy, dw, dh = deltas.unflatten(1, (-1, 4)).unbind(2)
        wx, wy, ww, wh = self.weights
        own_x, own_y, own_width, own_height = (
            part[:, None] for part in _centres_and_sides(anchors.to(deltas.dtype))
        )
        x, y = dx / wx * own_width + own_x, dy / wy * own_height + own_y
        half_width = 0.5 * (torch.exp((dw / ww).clamp(max=LARGEST_GROWTH)) * own_width)
        half_height = 0.5 * (torch.exp((dh / wh).clamp(max=LARGEST_GROWTH)) * own_height)
        return torch.stack(
            [x - half_width, y - half_height, x + half_width, y + half_height], dim=2
        )


def _centres_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(1)
    width, height = x2 - x1, y2 - y1
    return x1 + 0.5 * width, y1 + 0.5 * height, width, height


def suppress(
    boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, image_size: tuple[int, int]
) -> Tensor:
    """Which boxes are left where the best one of a group suppresses those that it overlaps.

    Args:
        boxes: Tensor[N, 4] within the image.
        scores: Tensor[N].
        groups: Tensor[N]; boxes of different ones leave each other alone.
        iou: IoU above which the lower of two boxes goes.
        image_size: Height and width.

    Returns:
        Their rows Tensor[M], best first.
    """
    if not torch.compiler.is_compiling():
        return batched_nms(boxes, scores, groups, iou)
    # torch.export takes for granted that nms keeps two boxes: two empty ones see to it
    apart = F.pad(boxes + groups.unsqueeze(1) * (max(image_size) + 1.0), (0, 0, 0, 2))
    kept = nms(apart, F.pad(scores, (0, 2), value=-1.0), iou)
    return kept[kept < scores.shape[0]]


class Selection(Protocol):
    """What is asked of detections, such as `trovid.structures.DetectOptions`."""

    @property
    def score(self) -> float | None:
        """Lowest score that is kept (exclusive)."""

    @property
    def nms(self) -> float | None:
        """IoU above which the lower of two boxes of a class goes; 1 keeps all."""

    @property
    def class_agnostic_nms(self) -> bool:
        """Whether boxes of different classes suppress each other too."""

    @property
    def max_detections(self) -> int | None:
        """Detections at most; None for any number."""


def select_boxes(
    boxes: Tensor, class_scores: Tensor, image_size: tuple[int, int], selection: Selection
) -> tuple[Tensor, Tensor, Tensor]:
    """The detections of a frame among its candidates.

    Args:
        boxes: Tensor[R, 1, 4] or Tensor[R, num_classes, 4].
        class_scores: Tensor[R, num_classes].
        image_size: Height and width that boxes are clipped to.
        selection: What is asked for; `score` and `nms` are not None.

    Returns:
        Boxes Tensor[N, 4], scores Tensor[N] and labels Tensor[N], best first.
    """
    assert selection.score is not None
    assert selection.nms is not None
    roi, label = (class_scores > selection.score).nonzero(as_tuple=True)
    scores = class_scores[roi, label]
    column = label if boxes.shape[1] > 1 else torch.zeros_like(label)
    chosen = clip_boxes_to_image(boxes[roi, column], image_size)
    finite = chosen.isfinite().all(1)  # with weights of huge values a box may be none
    chosen, scores, label = chosen[finite], scores[finite], label[finite]
    group = torch.zeros_like(label) if selection.class_agnostic_nms else label
    keep = suppress(chosen, scores, group, selection.nms, image_size)[: selection.max_detections]
    return chosen[keep], scores[keep], label[keep]


def without_small_boxes(
    boxes: Tensor, class_scores: Tensor, image_size: tuple[int, int], smallest: float
) -> Tensor:
    """The class scores, 0 where a side of the box within the frame is shorter than `smallest`."""
    clipped = clip_boxes_to_image(boxes, image_size)
    large = (clipped[..., 2:] - clipped[..., :2] >= smallest).all(-1)
    return class_scores * large
