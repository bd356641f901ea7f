"""What a detector says of a frame before anything is chosen, and the choice."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from trovid.structures import Detections, DetectOptions
from trovid.structures.detections import scaled_boxes


@dataclass(frozen=True, eq=False)
class Candidates:
    """All boxes of one frame with the scores of all classes.

    Attributes:
        boxes: Tensor[R, 1, 4] (one box a RoI) or Tensor[R, num_classes, 4], in pixels.
        class_scores: Tensor[R, num_classes], softmax over classes and background, without it.
        class_names: Names of the classes.
        frame_index: Index of the frame in its video.
        time: Time of the frame in its video, in seconds.
        image_size: Height and width of the frame in pixels.
    """

    boxes: Tensor
    class_scores: Tensor
    class_names: tuple[str, ...]
    frame_index: int = 0
    time: float = 0.0
    image_size: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(self.boxes)

    def scaled(self, image_size: tuple[int, int]) -> Self:
        """The same in the pixels of a frame of another (height, width)."""
        return replace(
            self, boxes=scaled_boxes(self.boxes, self.image_size, image_size), image_size=image_size
        )

    def cpu(self) -> Self:
        """The same on the CPU."""
        return replace(self, boxes=self.boxes.cpu(), class_scores=self.class_scores.cpu())

    def of_classes(self, names: Collection[str] | None) -> Self:
        """The same with scores of 0 for all other classes; None keeps all."""
        if names is None:
            return self
        mask = [float(name in names) for name in self.class_names]
        return replace(self, class_scores=self.class_scores * self.class_scores.new_tensor(mask))

    def select(self, options: DetectOptions) -> Detections:
        """Threshold, suppression within each class or across them, the best of what is left.

        Args:
            options: With `score`, `nms`, `class_agnostic_nms` and `max_detections`.
        """
        assert options.score is not None
        assert options.nms is not None
        boxes, scores, labels, _ = select_boxes(
            self.boxes,
            self.class_scores,
            self.image_size,
            score=options.score,
            nms=options.nms,
            class_agnostic_nms=options.class_agnostic_nms,
            max_detections=options.max_detections,
        )
        return Detections(
            boxes=boxes,
            scores=scores,
            labels=labels,
            class_names=self.class_names,
            frame_index=self.frame_index,
            time=self.time,
            image_size=self.image_size,
        )


def select_boxes(
    boxes: Tensor,
    class_scores: Tensor,
    image_size: tuple[int, int],
    *,
    score: float,
    nms: float,
    class_agnostic_nms: bool = False,
    max_detections: int | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The detections of a frame among its candidates.

    Args:
        boxes: Tensor[R, 1, 4] or Tensor[R, num_classes, 4].
        class_scores: Tensor[R, num_classes].
        image_size: Height and width that boxes are clipped to.
        score: Lowest score that is kept (exclusive).
        nms: IoU above which the lower of two boxes of a class goes; 1 keeps all.
        class_agnostic_nms: Whether boxes of different classes suppress each other too.
        max_detections: Detections at most; None for any number.

    Returns:
        Boxes Tensor[N, 4], scores Tensor[N], labels Tensor[N], and Tensor[N], the row of each in
        `boxes`; best first.
    """
    roi, label = (class_scores > score).nonzero(as_tuple=True)
    scores = class_scores[roi, label]
    column = label if boxes.shape[1] > 1 else torch.zeros_like(label)
    chosen = clip_boxes_to_image(boxes[roi, column], image_size)
    finite = chosen.isfinite().all(1)  # with weights of huge values a box may be none
    chosen, scores, label, roi = chosen[finite], scores[finite], label[finite], roi[finite]
    group = torch.zeros_like(label) if class_agnostic_nms else label
    keep = batched_nms(chosen, scores, group, nms)[:max_detections]
    return chosen[keep], scores[keep], label[keep], roi[keep]


def without_small_boxes(
    boxes: Tensor, class_scores: Tensor, image_size: tuple[int, int], smallest: float
) -> Tensor:
    """The class scores, 0 where a side of the box within the frame is shorter than `smallest`."""
    clipped = clip_boxes_to_image(boxes, image_size)
    large = (clipped[..., 2:] - clipped[..., :2] >= smallest).all(-1)
    return class_scores * large
