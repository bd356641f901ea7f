"""The labelled objects of a whole data set, in columns."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Attribute = NDArray[Any]
"""Array[N] float32, NaN where it is not known, or Array[N] of str, "" where it is not known."""


@dataclass(frozen=True, eq=False)
class Objects:
    """N labelled objects, ordered by video and frame; one in ten frames counts ten times.

    Columns and not records: an object takes 62 bytes with two attributes.

    Attributes:
        videos: Array[N] int32, number of the video.
        frames: Array[N] int32, index of the frame in its video.
        boxes: Array[N, 4] float64, x1 y1 x2 y2 in pixels.
        labels: Array[N] int32, index into the class names.
        instance_ids: Array[N] int64, the same for one object in all frames of its video.
        crowd: Array[N] of bool, see `GroundTruth`.
        ignore: Array[N] of bool.
        attributes: By name what else is known of each.
        masks: Array[N] of bytes, COCO's compressed run-length code of each object, b"" where it has
            no mask; None where no object has one.
        visible_masks: The same of what of each object can be seen, where `masks` are whole shapes
            whatever lies in front of them (amodal); None where no object has one.
    """

    videos: NDArray[np.int32]
    frames: NDArray[np.int32]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int32]
    instance_ids: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    masks: NDArray[np.object_] | None = None
    visible_masks: NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Array[N]: the objects that are to be found, neither a crowd nor ignored."""
        return ~(self.crowd | self.ignore)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Objects:
        """Some of them; a slice copies nothing."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        attributes = {name: column[rows] for name, column in self.attributes.items()}
        masks, visible_masks = (
            None if column is None else column[rows] for column in (self.masks, self.visible_masks)
        )
        return Objects(**columns, attributes=attributes, masks=masks, visible_masks=visible_masks)


_COLUMNS = ("videos", "frames", "boxes", "labels", "instance_ids", "crowd", "ignore")


def known(column: Attribute) -> NDArray[np.bool_]:
    """Array[N]: whether an attribute is known of each object."""
    return column != "" if column.dtype.kind == "U" else ~np.isnan(column)


class ObjectRows:
    """What a reader fills, object after object in any order, to get `Objects`."""

    def __init__(self) -> None:
        self._places = array("i")
        self._boxes = array("d")
        self._ids = array("q")
        self._flags = array("b")
        self._attributes: dict[str, list[Any]] = {}
        self._masks: list[bytes] = []
        self._visible_masks: list[bytes] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(
        self,
        video: int,
        frame: int,
        label: int,
        box: Sequence[float],
        *,
        instance_id: int | None = None,
        crowd: bool = False,
        ignore: bool = False,
        attributes: Mapping[str, float | str] | None = None,
        mask: bytes = b"",
        visible_mask: bytes = b"",
    ) -> None:
        """One more object in one frame.

        Args:
            video: Number of the video.
            frame: Index of the frame in the video.
            label: Index into the class names.
            box: x1, y1, x2, y2 in pixels.
            instance_id: Not negative, the same for one object in all frames of its video; None:
                nothing says which objects of other frames it is, and it is one of its own.
            crowd: See `GroundTruth`.
            ignore: See `GroundTruth`.
            attributes: What else is known of it: numbers or words, each name always the same kind.
            mask: COCO's compressed run-length code.
            visible_mask: The same of what of it can be seen, where `mask` is its whole shape.
        """
        row = len(self)
        self._places.extend((video, frame, label))
        self._boxes.extend(box)
        self._ids.append(-1 if instance_id is None else instance_id)
        self._flags.append(crowd + 2 * ignore)
        for name, value in (attributes or {}).items():
            column = self._attributes.setdefault(name, [])
            column += [None] * (row - len(column))
            column.append(sys.intern(value) if isinstance(value, str) else value)
        self._masks.append(mask)
        self._visible_masks.append(visible_mask)

    def objects(self) -> Objects:
        """All of them in columns, ordered by video and frame."""
        videos, frames, labels = np.array(self._places, dtype=np.int32).reshape(-1, 3).T
        ids = np.array(self._ids, dtype=np.int64)
        nameless = ids < 0
        ids[nameless] = ids.max(initial=-1) + 1 + np.arange(nameless.sum())
        flags = np.array(self._flags, dtype=np.int8)
        every = Objects(
            videos,
            frames,
            np.array(self._boxes, dtype=np.float64).reshape(-1, 4),
            labels,
            ids,
            flags % 2 == 1,
            flags >= 2,
            {name: self._column(name) for name in self._attributes},
            *(
                np.array(column, dtype=object) if any(column) else None
                for column in (self._masks, self._visible_masks)
            ),
        )
        return every[np.lexsort((frames, videos))]

    def _column(self, name: str) -> Attribute:
        column = self._attributes[name]
        column += [None] * (len(self) - len(column))
        if any(isinstance(value, str) for value in column):
            return np.array([value or "" for value in column], dtype=np.str_)
        return np.array(column, dtype=np.float32)
