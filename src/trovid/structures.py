"""What trovid's parts hand to each other: validated dataclasses, no torch.nn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


def _check_boxes(boxes: Tensor, name: str = "boxes") -> None:
    if not isinstance(boxes, Tensor):
        raise TypeError(f"`{name}` must be a Tensor, but got {type(boxes).__name__}")
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise ValueError(f"`{name}` must have shape [N, 4], but got {list(boxes.shape)}")


def _check_length(value: Tensor | Sequence[Any], length: int, name: str) -> None:
    if len(value) != length:
        raise ValueError(f"`{name}` must have one entry a box ({length}), but has {len(value)}")


def _check_labels(labels: Tensor, class_names: Sequence[str]) -> None:
    if labels.dim() != 1 or labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(
            f"`labels` must be integers of shape [N], but got {labels.dtype} {list(labels.shape)}"
        )
    if len(labels) and (int(labels.min()) < 0 or int(labels.max()) >= len(class_names)):
        raise ValueError(
            f"`labels` must lie in 0..{len(class_names) - 1}, "
            f"but reach from {int(labels.min())} to {int(labels.max())}"
        )


@dataclass(frozen=True)
class Video:
    """A video's name and measures.

    Attributes:
        name: Unique within a data set; the file's stem by default.
        num_frames: Number of frames that decode.
        height: Height of a frame in pixels.
        width: Width of a frame in pixels.
        frame_rate: Mean frames per second (0 where unknown, as for a folder of images).
    """

    name: str
    num_frames: int
    height: int
    width: int
    frame_rate: float = 0.0

    def __post_init__(self) -> None:
        if min(self.num_frames, self.height, self.width) < 0 or self.frame_rate < 0:
            raise ValueError(f"a video's measures must not be negative, but got {self}")


@dataclass(frozen=True, eq=False)
class Detections:
    """The objects found in one frame, best first.

    Attributes:
        boxes: Tensor[N, 4], x1 y1 x2 y2 in pixels of the source frame.
        scores: Tensor[N] in 0..1.
        labels: Tensor[N], integer index into `class_names` (no background).
        class_names: Names of all classes that the model knows.
        frame_index: Index of the frame in its video, from 0.
        time: Time of the frame in its video, in seconds.
        image_size: Height and width of the source frame in pixels.
        track_ids: Optional Tensor[N] of integers.
        masks: Optional Tensor[N, height, width] of bool.

    Raises:
        TypeError: If `boxes` is no tensor.
        ValueError: If a shape, a length or a label does not fit.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    frame_index: int = 0
    time: float = 0.0
    image_size: tuple[int, int] = (0, 0)
    track_ids: Tensor | None = None
    masks: Tensor | None = None

    def __post_init__(self) -> None:
        _check_boxes(self.boxes)
        for name in ("scores", "labels", "track_ids", "masks"):
            value = getattr(self, name)
            if value is not None:
                _check_length(value, len(self.boxes), name)
        _check_labels(self.labels, self.class_names)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Tensor | slice | list[int]) -> Detections:
        """The chosen detections, by an index tensor, a mask, a slice or a list."""
        return replace(
            self,
            boxes=self.boxes[index],
            scores=self.scores[index],
            labels=self.labels[index],
            track_ids=None if self.track_ids is None else self.track_ids[index],
            masks=None if self.masks is None else self.masks[index],
        )


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
        _check_boxes(self.boxes)
        names = ("labels", "instance_ids", "deteriorations", "strengths", "motion_iou", "masks")
        for name in names:
            value = getattr(self, name)
            if value is not None:
                _check_length(value, len(self.boxes), name)
        _check_labels(self.labels, self.class_names)

    def __len__(self) -> int:
        return len(self.boxes)
