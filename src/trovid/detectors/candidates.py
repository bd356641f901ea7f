"""What a detector says of a frame before anything is chosen, and the choice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from trovid.nn.box_head import select_boxes
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

    def select(self, options: DetectOptions) -> Detections:
        """Threshold, suppression within each class or across them, the best of what is left.

        Args:
            options: With `score`, `nms`, `class_agnostic_nms` and `max_detections`.
        """
        boxes, scores, labels = select_boxes(
            self.boxes, self.class_scores, self.image_size, options
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
