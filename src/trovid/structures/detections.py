"""The objects found in a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from trovid.structures.masks import Masks

if TYPE_CHECKING:
    import pandas


def scaled_boxes(boxes: Tensor, size: tuple[int, int], image_size: tuple[int, int]) -> Tensor:
    """Boxes Tensor[..., 4] of a frame of one (height, width) in the pixels of another one.

    Raises:
        ValueError: If the frame has no size.
    """
    if min(size) <= 0:
        raise ValueError(f"`image_size` must be known to scale boxes, but is {size}")
    ratio = torch.tensor([image_size[1] / size[1], image_size[0] / size[0]] * 2)
    floating = boxes if boxes.is_floating_point() else boxes.float()
    return floating * ratio.to(floating)


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
        masks: Optional, N masks of the source frame.
        embeddings: Optional Tensor[N, D], what tells the objects apart (a track head's output).

    Raises:
        TypeError: If `boxes` is no tensor or `masks` are no Masks.
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
    masks: Masks | None = None
    embeddings: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(self.class_names))
        check_boxes(self.boxes)
        for name in ("scores", "labels", "track_ids", "embeddings"):
            value = getattr(self, name)
            if value is not None:
                check_tensor(value, name)
                check_length(value, len(self.boxes), name)
        if self.scores.dim() != 1 or not self.scores.is_floating_point():
            raise ValueError(
                "`scores` must be floating-point of shape [N], "
                f"but got {self.scores.dtype} {list(self.scores.shape)}"
            )
        check_labels(self.labels, self.class_names)
        if self.track_ids is not None:
            check_integers(self.track_ids, "track_ids")
        if self.masks is not None:
            check_masks(self.masks, len(self.boxes), self.image_size)

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        """In a line.

        Example:
            >>> Detections(torch.zeros(1, 4), torch.tensor([0.9]), torch.tensor([1]), ("a", "cup"))
            Detections(1 in frame 0 at 0.00 s: cup 0.90)
        """
        best = [f"{n} {s:.2f}" for n, s in zip(self[:4].names, self.scores.tolist(), strict=False)]
        found = ", ".join(best + ["..."] * (len(self) > 4))
        place = f"{len(self)} in frame {self.frame_index} at {self.time:.2f} s"
        return f"Detections({place}{': ' * bool(found)}{found})"

    def __getitem__(self, index: int | slice | Sequence[int] | Sequence[bool] | Tensor) -> Self:
        """The chosen detections, by an index, several, a mask or a slice.

        Example:
            >>> boxes, labels = torch.tensor([[0.0, 0, 9, 9], [5, 5, 8, 8]]), torch.tensor([0, 1])
            >>> found = Detections(boxes, torch.tensor([0.9, 0.2]), labels, ("cup", "star"))
            >>> len(found[found.scores > 0.5]), len(found[1]), len(found[[1, 0]])
            (1, 1, 2)
        """
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"index {index} of {len(self)} detections")
            chosen = torch.tensor([index])
        else:
            chosen = index if isinstance(index, slice) else torch.as_tensor(index)
            if isinstance(chosen, Tensor) and chosen.dim() == 0:
                return self[int(chosen)]
        if isinstance(chosen, Tensor) and not len(chosen):
            chosen = chosen.long()
        return replace(
            self,
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            labels=self.labels[chosen],
            track_ids=None if self.track_ids is None else self.track_ids[chosen],
            masks=None if self.masks is None else self.masks[chosen],
            embeddings=None if self.embeddings is None else self.embeddings[chosen],
        )

    def scaled(self, image_size: tuple[int, int]) -> Self:
        """The same in the pixels of a frame of another size.

        Args:
            image_size: Height and width of that frame.
        """
        return replace(
            self,
            boxes=scaled_boxes(self.boxes, self.image_size, image_size),
            image_size=image_size,
            masks=None if self.masks is None else self.masks.resized(image_size),
        )

    def cpu(self) -> Self:
        """The same on the CPU."""
        tensors = ("boxes", "scores", "labels", "track_ids", "embeddings")
        columns = {name: getattr(self, name) for name in tensors}
        return replace(
            self, **{name: value.cpu() for name, value in columns.items() if value is not None}
        )

    @property
    def names(self) -> list[str]:
        """Class name of each detection."""
        return [self.class_names[label] for label in self.labels.tolist()]

    def to_coco(self, *, image_id: int | None = None) -> list[dict[str, Any]]:
        """COCO results: `image_id`, `category_id`, `bbox` (x, y, width, height) and `score`.

        `trovid.datasets.coco_results.detections_from_coco` reads them.

        Args:
            image_id: By default the frame's index.

        Returns:
            One dict a detection; `category_id` is the label + 1; `track_id` and `segmentation`
            where there are any.
        """
        boxes = self.boxes.clone().double()
        boxes[:, 2:] -= boxes[:, :2]
        rows: list[dict[str, Any]] = [
            {
                "image_id": self.frame_index if image_id is None else image_id,
                "category_id": label + 1,
                "bbox": [round(side, 3) for side in box],
                "score": round(score, 5),
            }
            for label, box, score in zip(
                self.labels.tolist(), boxes.tolist(), self.scores.tolist(), strict=True
            )
        ]
        for row, track in zip(rows, [] if self.track_ids is None else self.track_ids.tolist()):  # noqa: B905
            row["track_id"] = track
        for row, code in zip(rows, [] if self.masks is None else self.masks.to_coco()):  # noqa: B905
            row["segmentation"] = code
        return rows

    def to_supervision(self) -> dict[str, Any]:
        """The fields of the package supervision: `supervision.Detections(**d.to_supervision())`."""
        import numpy as np

        return {
            "xyxy": self.boxes.detach().float().cpu().numpy(),
            "confidence": self.scores.detach().float().cpu().numpy(),
            "class_id": self.labels.cpu().numpy(),
            "tracker_id": None if self.track_ids is None else self.track_ids.cpu().numpy(),
            "mask": None if self.masks is None else self.masks.dense().numpy(),
            "data": {"class_name": np.array(self.names, dtype=str)},
        }

    @classmethod
    def from_supervision(cls, fields: Any, class_names: Sequence[str], **frame: Any) -> Self:
        """Detections from a `supervision.Detections` or anything with its fields.

        Args:
            fields: With attributes `xyxy`, `confidence`, `class_id`, `tracker_id` and `mask`.
            class_names: Names of all classes.
            **frame: `frame_index`, `time`, `image_size` (by default the size of the masks, where
                there are any).
        """

        def tensor(name: str) -> Tensor | None:
            value = getattr(fields, name, None)
            return None if value is None else torch.as_tensor(value)

        boxes, scores, labels = tensor("xyxy"), tensor("confidence"), tensor("class_id")
        if boxes is None or labels is None:
            raise ValueError("`fields` must have `xyxy` and `class_id`, but lacks one")
        tracks, pixels = tensor("tracker_id"), tensor("mask")
        masks = None if pixels is None else Masks.from_dense(pixels.bool())
        if masks is not None:
            frame.setdefault("image_size", masks.size)
        return cls(
            boxes=boxes.float().reshape(-1, 4),
            scores=torch.ones(len(boxes)) if scores is None else scores.float(),
            labels=labels.long(),
            class_names=tuple(class_names),
            track_ids=None if tracks is None else tracks.long(),
            masks=masks,
            **frame,
        )

    def to_pandas(self) -> pandas.DataFrame:
        """A table with one row a detection: frame, time, class, score, x1, y1, x2, y2, track."""
        import pandas

        x1, y1, x2, y2 = self.boxes.detach().cpu().double().unbind(1)
        count = len(self)
        tracks = [None] * count if self.track_ids is None else self.track_ids.tolist()
        return pandas.DataFrame(
            {
                "frame": [self.frame_index] * count,
                "time": [self.time] * count,
                "class": self.names,
                "score": self.scores.tolist(),
                "x1": x1.numpy(),
                "y1": y1.numpy(),
                "x2": x2.numpy(),
                "y2": y2.numpy(),
                "track": pandas.array(tracks, dtype="Int64"),
            }
        )


def check_tensor(value: object, name: str) -> None:
    """That it is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"`{name}` must be a Tensor, but got {type(value).__name__}")


def check_boxes(boxes: Tensor, name: str = "boxes") -> None:
    """That they are Tensor[N, 4]."""
    check_tensor(boxes, name)
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise ValueError(f"`{name}` must have shape [N, 4], but got {list(boxes.shape)}")


def check_length(value: Tensor | Sequence[Any], length: int, name: str) -> None:
    """That there is one entry a box."""
    if len(value) != length:
        raise ValueError(f"`{name}` must have one entry a box ({length}), but has {len(value)}")


def check_integers(value: Tensor, name: str) -> None:
    """That they are integers Tensor[N]."""
    if value.dim() != 1 or value.is_floating_point() or value.dtype == torch.bool:
        raise ValueError(
            f"`{name}` must be integers of shape [N], but got {value.dtype} {list(value.shape)}"
        )


def check_labels(labels: Tensor, class_names: Sequence[str]) -> None:
    """That they are indices into the class names."""
    check_integers(labels, "labels")
    if len(labels) and (int(labels.min()) < 0 or int(labels.max()) >= len(class_names)):
        raise ValueError(
            f"`labels` must lie in 0..{len(class_names) - 1}, "
            f"but reach from {int(labels.min())} to {int(labels.max())}"
        )


def check_masks(masks: Masks, length: int, image_size: tuple[int, int]) -> None:
    """That there is one mask a box, of the frame's size where that is known."""
    if not isinstance(masks, Masks):
        raise TypeError(
            f"`masks` must be Masks (see Masks.from_dense), but got {type(masks).__name__}"
        )
    check_length(masks.counts, length, "masks")
    if tuple(image_size) not in ((0, 0), masks.size):
        raise ValueError(
            f"`masks` must be of the frame's size {tuple(image_size)}, but are of {masks.size}"
        )
