"""The labelled objects of a frame."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from trovid.structures.checks import check_boxes, check_labels, check_length


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The labelled objects of one frame.

    Attributes:
        boxes: Tensor[N, 4], x1 y1 x2 y2 in pixels.
        labels: Tensor[N], integer index into `class_names`.
        instance_ids: Tensor[N], integer, the same for one object in all frames of a video.
        class_names: Names of all classes.
        frame_index: Index of the frame in its video, from 0.
        image_size: Height and width of the frame in pixels.
        deteriorations: Optional: for each object what was done to it in this frame ("none": clean).
        strengths: Optional Tensor[N]: how strongly.
        motion_iou: Optional Tensor[N]: mean IoU with itself in frames t-10..t+10 (protocol of
            Flow-Guided Feature Aggregation).
        masks: Optional Tensor[N, height, width] of bool.

    Raises:
        TypeError: If `boxes` is no tensor.
        ValueError: If a shape, a length or a label does not fit.
    """

    boxes: Tensor
    labels: Tensor
    instance_ids: Tensor
    class_names: tuple[str, ...]
    frame_index: int = 0
    image_size: tuple[int, int] = (0, 0)
    deteriorations: tuple[str, ...] | None = None
    strengths: Tensor | None = None
    motion_iou: Tensor | None = None
    masks: Tensor | None = None

    def __post_init__(self) -> None:
        check_boxes(self.boxes)
        names = ("labels", "instance_ids", "deteriorations", "strengths", "motion_iou", "masks")
        for name in names:
            value = getattr(self, name)
            if value is not None:
                check_length(value, len(self.boxes), name)
        check_labels(self.labels, self.class_names)

    def __len__(self) -> int:
        return len(self.boxes)
