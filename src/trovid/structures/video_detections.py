"""The objects found in many frames of one video, in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trovid.structures.detections import Detections


@dataclass(frozen=True, eq=False)
class VideoDetections:
    """What was found in F frames of one video: N detections, frame after frame.

    Columns and not one object a frame: ImageNet VID's validation videos hold up to 17.6 million
    detections.

    Attributes:
        frame_indices: Array[F] int32, in any order, a frame without detections included.
        counts: Array[F], detections of each frame.
        boxes: Array[N, 4] float32 or float64, x1 y1 x2 y2 in pixels.
        scores: Array[N] float32 or float64.
        labels: Array[N] int32, index into `class_names`.
        class_names: Names of the model's classes.

    Raises:
        ValueError: If lengths do not fit, or a label is no index of a class.
    """

    frame_indices: NDArray[np.int32]
    counts: NDArray[np.int32]
    boxes: NDArray[Any]
    scores: NDArray[Any]
    labels: NDArray[np.int32]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        total = int(self.counts.sum())
        if len(self.frame_indices) != len(self.counts):
            raise ValueError(
                f"`counts` must have one entry a frame ({len(self.frame_indices)}), "
                f"but has {len(self.counts)}"
            )
        if self.boxes.shape != (total, 4):
            raise ValueError(f"`boxes` must have shape [{total}, 4], but got {self.boxes.shape}")
        for name in ("scores", "labels"):
            if len(getattr(self, name)) != total:
                raise ValueError(f"`{name}` must have one entry a box ({total})")
        if total and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(
                f"`labels` must lie in 0..{len(self.class_names) - 1}, "
                f"but reach from {self.labels.min()} to {self.labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.frame_indices)

    @classmethod
    def from_frames(cls, frames: Sequence[Detections]) -> VideoDetections:
        """The columns of single frames, which must know the same classes.

        Raises:
            ValueError: If there is no frame, or the classes differ.
        """
        class_names = {frame.class_names for frame in frames}
        if len(class_names) != 1:
            raise ValueError(f"`frames` must know the same classes, but know {len(class_names)}")
        return cls(
            np.array([frame.frame_index for frame in frames], dtype=np.int32),
            np.array([len(frame) for frame in frames], dtype=np.int32),
            np.concatenate([_numbers(frame.boxes) for frame in frames]),
            np.concatenate([_numbers(frame.scores) for frame in frames]),
            np.concatenate([frame.labels.cpu().numpy() for frame in frames]).astype(np.int32),
            class_names.pop(),
        )

    def frames(
        self, *, times: Sequence[float] | None = None, image_size: tuple[int, int] = (0, 0)
    ) -> Iterator[Detections]:
        """Frame after frame.

        Args:
            times: Seconds of each frame; None: not known.
            image_size: Height and width of the frames.
        """
        end = 0
        for number, (index, count) in enumerate(
            zip(self.frame_indices.tolist(), self.counts.tolist(), strict=True)
        ):
            start, end = end, end + count
            yield Detections(
                torch.from_numpy(self.boxes[start:end].copy()),
                torch.from_numpy(self.scores[start:end].copy()),
                torch.from_numpy(self.labels[start:end].astype(np.int64)),
                self.class_names,
                frame_index=index,
                time=0.0 if times is None else times[number],
                image_size=image_size,
            )


def _numbers(values: Tensor) -> NDArray[Any]:
    """In a precision that numpy has."""
    tensor = values.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
