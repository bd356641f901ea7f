"""The range of every number in labels, whatever form they have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from trovid.datasets.contract import Dataset
from trovid.datasets.findings import Faults
from trovid.errors import shortened
from trovid.structures import Video

MOST_MEASURE = 10**7
"""Of a frame's width and height, and of a video's frames."""
MOST_RATE = 10**6
FARTHEST = 10**9
"""How far from the frame's corner a box or a point may lie, in pixels."""
LARGEST_ID = 2**62
LONGEST_NAME = 4096


def is_number(value: Any, *, below: float = FARTHEST) -> TypeGuard[float]:
    """Whether it is a number, finite and smaller than a bound whatever its sign."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < below  # NaN is not


def whole_number(text: str, lowest: int, highest: int, what: str) -> int:
    """The whole number that a text is.

    Raises:
        ValueError: If it is none, or out of its range; the message begins with `what`.
    """
    try:
        value = int(text)
    except ValueError:
        value = None
    if value is None or not lowest <= value <= highest:
        given = shortened(text, 40)
        raise ValueError(f"{what} must be a whole number in {lowest}..{highest}, but is {given}")
    return value


def check_ranges(dataset: Dataset, path: Path, faults: Faults) -> None:
    """What must hold of every data set: the last look at numbers before anybody computes with them.

    Args:
        dataset: What a reader made.
        path: What it has read, for messages.
        faults: What to do about what does not fit.

    Raises:
        TrovidError: With file, video and frame, unless faults are collected.
    """
    for label, name in enumerate(dataset.class_names):
        if not name.strip() or len(name) > LONGEST_NAME:
            text = f"class {label} must have a name of 1 to {LONGEST_NAME} characters"
            faults.add("unreadable-labels", text, place=str(path))
    for video in dataset.videos:
        for text in _wrong_measures(video):
            where = f"{path}: video {shortened(video.name)}"
            faults.add("unreadable-labels", text, place=where)
    for row, text in _wrong_objects(dataset):
        number, frame = int(dataset.objects.videos[row]), int(dataset.objects.frames[row])
        where = f"{path}: video {shortened(dataset.videos[number].name)} frame {frame}"
        faults.add("unreadable-labels", text, place=where)


def _wrong_measures(video: Video) -> Iterator[str]:
    for name in ("num_frames", "height", "width"):
        value = getattr(video, name)
        if not 0 <= value <= MOST_MEASURE:
            yield f"{name} must lie in 0..{MOST_MEASURE}, but is {shortened(value)}"
    if not 0 <= video.frame_rate <= MOST_RATE:
        yield f"the frame rate must lie in 0..{MOST_RATE}, but is {video.frame_rate}"


def _wrong_objects(dataset: Dataset) -> Iterator[tuple[int, str]]:
    """Of each kind of fault the first object."""
    objects = dataset.objects
    lengths = np.array([min(v.num_frames, MOST_MEASURE) for v in dataset.videos], dtype=np.int64)
    last = lengths[objects.videos] - 1 if len(objects) else np.zeros(0, dtype=np.int64)
    odd_boxes = ~(np.abs(objects.boxes) < FARTHEST).all(axis=1)
    odd_numbers = [
        key
        for key, column in objects.attributes.items()
        if column.dtype.kind == "f" and np.isinf(column).any()
    ]
    faults = (
        (odd_boxes, "a box must have four finite numbers below 10**9 in size"),
        ((objects.frames < 0) | (objects.frames > last), "the frame must lie within its video"),
        (objects.instance_ids < 0, "an instance id must not be negative"),
        *((np.isinf(objects.attributes[key]), f"{key} must be finite") for key in odd_numbers),
    )
    for wrong, text in faults:
        if wrong.any():
            yield int(np.flatnonzero(wrong)[0]), text
