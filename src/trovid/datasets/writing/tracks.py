"""The tracks of a video, for tools that hold labels by track."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trovid.datasets.contract import Dataset


@dataclass(frozen=True)
class Track:
    """An object of a video.

    Attributes:
        label: Its class.
        frames: Its frames, ascending.
        boxes: x1, y1, x2, y2 in each.
    """

    label: str
    frames: list[int]
    boxes: list[list[float]]


def tracks(dataset: Dataset, name: str) -> Iterator[Track]:
    """The counted objects of a video by instance id and class."""
    objects = dataset.objects[dataset.rows(name)]
    objects = objects[np.flatnonzero(objects.counted)]
    order = np.lexsort((objects.frames, objects.labels, objects.instance_ids))
    keys = np.stack([objects.instance_ids[order], objects.labels[order]], axis=1)
    ends = np.flatnonzero((keys[1:] != keys[:-1]).any(1)) + 1
    for rows in np.split(order, ends) if len(order) else ():
        label = dataset.class_names[objects.labels[rows[0]]]
        yield Track(label, objects.frames[rows].tolist(), objects.boxes[rows].tolist())
