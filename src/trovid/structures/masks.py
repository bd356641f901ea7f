"""The masks of a frame's objects, kept as run-length codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trovid.structures import run_lengths

Index = int | slice | Sequence[int] | Sequence[bool] | NDArray[Any] | Tensor


@dataclass(frozen=True)
class Masks:
    """The masks of R objects of one frame, as COCO's compressed run-length codes.

    A code takes some hundred bytes where the mask itself takes a byte a pixel, so masks may be
    kept for a whole video; `dense` makes pixels of them, for the frame in hand.

    Attributes:
        size: Height and width of the frame in pixels.
        counts: The code of each mask.

    Raises:
        TypeError: If a code is not of bytes.
        ValueError: If a side is negative.

    Example:
        >>> square = torch.zeros(1, 5, 7, dtype=torch.bool)
        >>> square[0, 1:3, 2:4] = True
        >>> masks = Masks.from_dense(square)
        >>> masks, masks.areas.tolist(), masks.boxes.tolist()
        (Masks(1 of 5 x 7), [4], [[2.0, 1.0, 4.0, 3.0]])
        >>> masks.to_coco()
        [{'size': [5, 7], 'counts': ';230>'}]
    """

    size: tuple[int, int]
    counts: tuple[bytes, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", (int(self.size[0]), int(self.size[1])))
        object.__setattr__(self, "counts", tuple(self.counts))
        if min(self.size) < 0:
            raise ValueError(f"`size` must be a height and a width, but is {self.size}")
        for code in self.counts:
            if not isinstance(code, bytes):
                raise TypeError(f"`counts` must be bytes, but hold {type(code).__name__}")

    @classmethod
    def from_dense(cls, masks: NDArray[np.bool_] | Tensor) -> Self:
        """The codes of masks given pixel by pixel.

        Args:
            masks: bool [R, H, W], an array or a tensor.

        Raises:
            ValueError: If the shape or the type is another.
        """
        pixels = masks.detach().cpu().numpy() if isinstance(masks, Tensor) else np.asarray(masks)
        if pixels.ndim != 3 or pixels.dtype != np.bool_:
            raise ValueError(
                f"`masks` must be bool of shape [R, H, W], but got {pixels.dtype} "
                f"{list(pixels.shape)}"
            )
        height, width = pixels.shape[1:]
        return cls((height, width), tuple(_encoded(mask) for mask in pixels))

    @classmethod
    def from_windows(
        cls,
        windows: Iterable[NDArray[np.bool_] | Tensor],
        corners: Iterable[Sequence[int]],
        size: tuple[int, int],
    ) -> Self:
        """The codes of masks given within windows of the frame; outside them is background.

        Nothing as large as the frame is made, which matters where a frame is large and has many
        objects.

        Args:
            windows: For each mask bool [h, w], an array or a tensor.
            corners: For each window the column and row of its upper left pixel; what of a window
                lies outside the frame is cut off.
            size: Height and width of the frame.

        Raises:
            ValueError: If a window is no bool [h, w].
        """
        runs = []
        for window, (left, top) in zip(windows, corners, strict=True):
            pixels = window.detach().cpu().numpy() if isinstance(window, Tensor) else window
            if pixels.ndim != 2 or pixels.dtype != np.bool_:
                raise ValueError(
                    f"`windows` must be bool of shape [h, w], but one is {pixels.dtype} "
                    f"{list(pixels.shape)}"
                )
            runs.append(run_lengths.runs_of_window(pixels, int(left), int(top), size))
        return cls(size, tuple(run_lengths.codes(runs)))

    @classmethod
    def from_coco(cls, segmentations: Iterable[Any], size: tuple[int, int]) -> Self:
        """Masks as COCO's files hold them.

        Args:
            segmentations: For each object polygons (lists of x1, y1, x2, y2, ...), or an object
                with `size` and `counts`: a list of run lengths, or a text of the compressed code.
            size: Height and width of the frame.

        Raises:
            ValueError: If one is damaged or of another size; the message gives its index.
        """
        codes = []
        for index, segmentation in enumerate(segmentations):
            try:
                codes.append(_code(segmentation, size))
            except ValueError as error:
                raise ValueError(f"mask {index} {error}") from error
        return cls(size, tuple(codes))

    def to_coco(self) -> list[dict[str, Any]]:
        """For each mask `size` [H, W] and `counts`, the compressed code as text."""
        return [{"size": [*self.size], "counts": code.decode("ascii")} for code in self.counts]

    def dense(self, index: Index | None = None) -> Tensor:
        """The masks pixel by pixel, Tensor[R, H, W] of bool on the CPU.

        Args:
            index: Which of them; None for all.
        """
        chosen = self if index is None else self[index]
        if not len(chosen):
            return torch.zeros((0, *self.size), dtype=torch.bool)
        from faster_coco_eval.core import mask

        # [H, W, R] in column-major order is [R, W, H] in row-major order
        pixels = torch.from_numpy(mask.decode(chosen._codes()).transpose(2, 1, 0))
        return pixels.transpose(1, 2).bool()

    def window(self, index: int) -> tuple[tuple[int, int], NDArray[np.bool_]]:
        """The part of the frame that a mask fills, of which alone pixels are made.

        Args:
            index: Which mask.

        Returns:
            Column and row of its upper left pixel, and the mask within, bool [h, w]; [0, 0] where
            it is empty.
        """
        return run_lengths.window_of_runs(run_lengths.runs(self.counts[index]), self.size[0])

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[Self]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"Masks({len(self)} of {self.size[0]} x {self.size[1]})"

    def __getitem__(self, index: Index) -> Self:
        """Some of them: by an index, a slice, several indices or a bool for each."""
        if isinstance(index, slice):
            return replace(self, counts=self.counts[index])
        places = index.tolist() if isinstance(index, Tensor) else np.asarray(index).tolist()
        places = places if isinstance(places, list) else [places]
        if places and isinstance(places[0], bool):
            if len(places) != len(self):
                raise IndexError(f"{len(places)} bools for {len(self)} masks")
            places = [place for place, chosen in enumerate(places) if chosen]
        for place in places:
            if not -len(self) <= place < len(self):
                raise IndexError(f"index {place} of {len(self)} masks")
        return replace(self, counts=tuple(self.counts[place] for place in places))

    def __add__(self, other: Masks) -> Self:
        """These and then the other ones, of a frame of the same size."""
        self._check_same_size(other)
        return replace(self, counts=self.counts + other.counts)

    @property
    def areas(self) -> Tensor:
        """Tensor[R] of int64, the number of pixels of each mask."""
        from faster_coco_eval.core import mask

        areas = mask.area(self._codes()) if len(self) else []
        return torch.as_tensor(np.asarray(areas, dtype=np.int64))

    @property
    def boxes(self) -> Tensor:
        """Tensor[R, 4], x1 y1 x2 y2 in pixels around each mask; all 0 where it is empty."""
        from faster_coco_eval.core import mask

        boxes = mask.toBbox(self._codes()) if len(self) else []
        found = torch.as_tensor(np.asarray(boxes, dtype=np.float32)).reshape(-1, 4)
        found[:, 2:] += found[:, :2]
        found[self.areas == 0] = 0  # versions of the library differ
        return found

    def intersections(self, other: Masks) -> Tensor:
        """Tensor[R, S] of int64: the number of pixels that a mask shares with each of S others.

        Raises:
            ValueError: If they are of frames of different size.
        """
        overlaps = self.iou(other)
        areas = self.areas[:, None] + other.areas
        return (overlaps * areas / (1 + overlaps)).round().long()

    def iou(self, other: Masks) -> Tensor:
        """Tensor[R, S] of float64: intersection over union with each of S others.

        0 where both are empty.

        Raises:
            ValueError: If they are of frames of different size.
        """
        self._check_same_size(other)
        if not len(self) or not len(other):
            return torch.zeros(len(self), len(other), dtype=torch.float64)
        from faster_coco_eval.core import mask

        overlaps = mask.iou(self._codes(), other._codes(), [0] * len(other))
        return torch.as_tensor(np.asarray(overlaps, dtype=np.float64))

    def resized(self, size: tuple[int, int]) -> Self:
        """The same in a frame of another size; each pixel asks the nearest one.

        Args:
            size: Height and width of that frame.
        """
        if tuple(size) == self.size:
            return self
        rows, columns = (
            np.minimum(((np.arange(new) + 0.5) * (old / new)).astype(np.int64), old - 1)
            for old, new in zip(self.size, size, strict=True)
        )
        one_by_one = (self.dense(index)[0].numpy() for index in range(len(self)))
        codes = tuple(_encoded(pixels[rows[:, None], columns]) for pixels in one_by_one)
        return replace(self, size=size, counts=codes)

    def _codes(self) -> list[dict[str, Any]]:
        return [{"size": [*self.size], "counts": code} for code in self.counts]

    def _check_same_size(self, other: Masks) -> None:
        if self.size != other.size:
            raise ValueError(
                f"masks must be of frames of one size, but are of {self.size} and {other.size}"
            )


def _encoded(pixels: NDArray[np.bool_]) -> bytes:
    from faster_coco_eval.core import mask

    columns = np.ascontiguousarray(pixels.T).view(np.uint8)
    return mask.encode(columns.T)["counts"] if pixels.size else b""


def _code(segmentation: Any, size: tuple[int, int]) -> bytes:
    from faster_coco_eval.core import mask

    height, width = size
    if isinstance(segmentation, list):
        for polygon in segmentation:
            _check_polygon(polygon)
        if not segmentation:
            return _encoded(np.zeros(size, dtype=np.bool_))
        parts = mask.frPyObjects(segmentation, height, width)
        assert isinstance(parts, list)
        return mask.merge(parts)["counts"]
    if not isinstance(segmentation, dict):
        raise ValueError(f"must be polygons or a run-length code, but is {_kind(segmentation)}")
    if segmentation.get("size") not in ([height, width], (height, width)):
        raise ValueError(f"must be of size {[height, width]}, but is {segmentation.get('size')}")
    counts = segmentation.get("counts")
    if isinstance(counts, list):
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError("must have run lengths that are whole and not negative")
        lengths = run_lengths.checked(np.array(counts, dtype=np.float64), size).astype(np.int64)
        if not lengths[1:].all():
            return _encoded(_drawn(lengths, size))
        code = mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
        assert isinstance(code, dict)
        return code["counts"]
    if isinstance(counts, str):
        counts = counts.encode("utf-8")
    if not isinstance(counts, bytes):
        raise ValueError(f"must have `counts` as text or as a list, but they are {_kind(counts)}")
    if run_lengths.is_usual(counts, size):
        return counts
    lengths = run_lengths.checked(run_lengths.runs(counts), size)
    # runs of no length make the comparison of two codes end before their end
    return counts if lengths[1:].all() else _encoded(_drawn(lengths, size))


def _drawn(lengths: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask, bool [H, W], of these runs."""
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(size[::-1]).T


def _check_polygon(polygon: Any) -> None:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(
            f"must have polygons of at least three points x, y, but one is {_kind(polygon)}"
        )
    for number in polygon:
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) < 1e5:
            raise ValueError(f"must have polygons of numbers, but one holds {_kind(number)}")


def _kind(value: object) -> str:
    return "missing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
