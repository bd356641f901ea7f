"""The labelled objects of a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from trovid.structures.detections import check_boxes, check_labels, check_length, check_masks
from trovid.structures.masks import Masks


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
        crowd: Optional Tensor[N] of bool: whether the box holds a crowd of objects (COCO's
            `iscrowd`); None: none does.
        ignore: Optional Tensor[N] of bool: whether the object neither has to be found nor is wrong
            to be found; None: none is ignored.
        attributes: By name what else is known of each object: a Tensor[N], NaN where it is not
            known, or N words, "" where it is not known. Some readers know `deterioration` and
            `strength` (SynthVID; "none": clean), `motion_iou` (mean IoU with itself in frames
            t-10..t+10: the protocol of Flow-Guided Feature Aggregation), `occluded`, `generated`.
        masks: Optional, N masks of the frame.

    Raises:
        TypeError: If `boxes` is no tensor or `masks` are no Masks.
        ValueError: If a shape, a length or a label does not fit.
    """

    boxes: Tensor
    labels: Tensor
    instance_ids: Tensor
    class_names: tuple[str, ...]
    frame_index: int = 0
    image_size: tuple[int, int] = (0, 0)
    crowd: Tensor | None = None
    ignore: Tensor | None = None
    attributes: Mapping[str, Tensor | tuple[str, ...]] = field(default_factory=dict)
    masks: Masks | None = None

    def __post_init__(self) -> None:
        check_boxes(self.boxes)
        for name in ("labels", "instance_ids", "crowd", "ignore"):
            value = getattr(self, name)
            if value is not None:
                check_length(value, len(self.boxes), name)
        for name, values in self.attributes.items():
            check_length(values, len(self.boxes), f"attributes[{name!r}]")
        check_labels(self.labels, self.class_names)
        if self.masks is not None:
            check_masks(self.masks, len(self.boxes), self.image_size)

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def counted(self) -> Tensor:
        """Tensor[N] of bool: the objects that are to be found, neither a crowd nor ignored."""
        counted = torch.ones(len(self), dtype=torch.bool, device=self.boxes.device)
        for left_out in (self.crowd, self.ignore):
            if left_out is not None:
                counted &= ~left_out.bool()
        return counted
