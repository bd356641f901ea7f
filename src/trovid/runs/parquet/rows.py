"""Detections as Arrow columns, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from trovid.errors import TrovidError
from trovid.structures import Detections, VideoDetections
from trovid.structures.masks import Masks

if TYPE_CHECKING:
    import pyarrow

CORNERS = ("x1", "y1", "x2", "y2")
EXTRA = "pip install 'trovid[parquet]'"


def arrow() -> ModuleType:
    """The package pyarrow.

    Raises:
        TrovidError: If it is not there.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise TrovidError(f"Parquet needs the package pyarrow: {EXTRA}") from error
    return pyarrow


@cache
def schema() -> pyarrow.Schema:
    """The columns of a file: video, frame, time, label, class, score, corners, track, mask."""
    pa = arrow()
    words = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            pa.field("video", words),
            pa.field("frame", pa.int32()),
            pa.field("time", pa.float64()),
            pa.field("label", pa.int16()),
            pa.field("class", words),
            pa.field("score", pa.float32()),
            *(pa.field(corner, pa.float32()) for corner in CORNERS),
            pa.field("track", pa.int64()),
            pa.field("mask", pa.string()),
        ]
    )


def detection_table(video: str, frames: Sequence[Detections]) -> pyarrow.Table:
    """Some frames of a video as rows; `mask` is COCO's compressed run-length code."""
    pa = arrow()
    counts = np.array([len(frame) for frame in frames], dtype=np.int64)
    rows = np.maximum(counts, 1)
    empty = np.repeat(counts == 0, rows)
    places = np.flatnonzero(~empty)

    def column(values: Any, kind: pyarrow.DataType) -> pyarrow.Array:
        """Values of the detections; nothing in the row of an empty frame."""
        whole = np.zeros(len(empty), dtype=np.asarray(values).dtype)
        whole[places] = values
        return pa.array(whole, type=kind, mask=empty)

    labels = np.concatenate([frame.labels.cpu().numpy() for frame in frames] or [[]])
    boxes = np.concatenate([frame.boxes.cpu().float().numpy() for frame in frames])
    names = frames[0].class_names
    words = schema().field("class").type
    columns = {
        "video": _same(video, len(empty)),
        "frame": pa.array(
            np.repeat([frame.frame_index for frame in frames], rows), type=pa.int32()
        ),
        "time": pa.array(np.repeat([frame.time for frame in frames], rows), type=pa.float64()),
        "label": column(labels.astype(np.int16), pa.int16()),
        "class": pa.DictionaryArray.from_arrays(
            column(labels.astype(np.int32), pa.int32()), pa.array(names, type=words.value_type)
        ),
        "score": column(
            np.concatenate([frame.scores.cpu().float().numpy() for frame in frames]), pa.float32()
        ),
        **{corner: column(boxes[:, number], pa.float32()) for number, corner in enumerate(CORNERS)},
        "track": pa.array(_each(frames, "track_ids"), type=pa.int64()),
        "mask": pa.array(_each(frames, "masks"), type=pa.string()),
    }
    return pa.table(columns, schema=schema())


def _same(word: str, count: int) -> pyarrow.Array:
    pa = arrow()
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(count, dtype=np.int32)), pa.array([word], type=pa.string())
    )


def _each(frames: Sequence[Detections], name: str) -> list[Any]:
    """A value a row of what not all frames have."""
    values: list[Any] = []
    for frame in frames:
        column = getattr(frame, name)
        if column is None or not len(frame):
            values += [None] * max(len(frame), 1)
        elif isinstance(column, Masks):
            values += [code["counts"] for code in column.to_coco()]
        else:
            values += column.tolist()
    return values


def video_columns(table: pyarrow.Table, class_names: tuple[str, ...]) -> VideoDetections:
    """The rows of one video as columns for evaluation.

    Raises:
        ValueError: If a label is no index of a class, or a column has gaps.
    """
    frames = _numbers(table, "frame")
    empty = table.column("label").is_null().to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.diff(frames, prepend=-1))
    counts = np.add.reduceat((~empty).astype(np.int32), starts) if len(starts) else starts
    found = table.filter(arrow().array(~empty)) if empty.any() else table
    return VideoDetections(
        frames[starts],
        counts.astype(np.int32),
        np.stack([_numbers(found, corner) for corner in CORNERS], axis=1),
        _numbers(found, "score"),
        _numbers(found, "label").astype(np.int32),
        class_names,
    )


def _numbers(table: pyarrow.Table, name: str) -> NDArray[Any]:
    column = table.column(name)
    if column.null_count:
        raise ValueError(f"column {name!r} has {column.null_count} empty cells")
    return column.to_numpy()


def table_frames(
    table: pyarrow.Table, class_names: tuple[str, ...], size: tuple[int, int]
) -> Iterator[Detections]:
    """The rows of one video frame by frame, with times, tracks and masks.

    Args:
        table: The rows.
        class_names: Names of the classes.
        size: Height and width of the video.
    """
    columns = video_columns(table, class_names)
    frames = table.column("frame").to_numpy()
    starts = np.flatnonzero(np.diff(frames, prepend=-1))
    times = table.column("time").to_numpy()[starts].tolist()
    tracks, masks = table.column("track").to_pylist(), table.column("mask").to_pylist()
    for start, found in zip(
        starts.tolist(), columns.frames(times=times, image_size=size), strict=True
    ):
        span = slice(start, start + len(found))
        yield Detections(
            found.boxes,
            found.scores,
            found.labels,
            class_names,
            found.frame_index,
            found.time,
            size,
            torch.tensor(tracks[span]) if len(found) and None not in tracks[span] else None,
            Masks.from_coco([{"size": list(size), "counts": code} for code in masks[span]], size)
            if len(found) and None not in masks[span]
            else None,
        )
