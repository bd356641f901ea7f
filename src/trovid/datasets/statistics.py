"""What labelled videos hold: per class how many, how large, how fast, how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trovid.datasets.contract import Dataset


@dataclass(frozen=True, eq=False)
class ClassStatistics:
    """Figures of the counted objects of a class (of all classes together under "all").

    Attributes:
        objects: Boxes: an object in ten frames counts ten times.
        instances: Objects by instance id.
        videos: Videos that show it.
        sizes: Array[objects], square root of the box's area, in pixels.
        shares: Array[objects], the same as a share of that of the frame.
        speeds: Array of the ways of a box's middle from one frame to the next, as shares of the
            box's size.
        lengths: Array[instances], number of labelled frames of each.
    """

    objects: int
    instances: int
    videos: int
    sizes: NDArray[np.float64]
    shares: NDArray[np.float64]
    speeds: NDArray[np.float64]
    lengths: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """Counts and quartiles, as JSON writes them."""
        quartiles = {
            name: [round(float(q), 4) for q in np.quantile(column, (0.25, 0.5, 0.75))]
            for name in ("sizes", "shares", "speeds", "lengths")
            if len(column := getattr(self, name))
        }
        counts = {name: getattr(self, name) for name in ("objects", "instances", "videos")}
        return {**counts, **quartiles}


def statistics(dataset: Dataset) -> Mapping[str, ClassStatistics]:
    """Figures of all objects ("all") and of those of each class, by name."""
    objects = dataset.objects[np.flatnonzero(dataset.objects.counted)]
    found = {"all": np.arange(len(objects))}
    for label, name in enumerate(dataset.class_names):
        found[name] = np.flatnonzero(objects.labels == label)
    measures = np.array([(v.width, v.height) for v in dataset.videos], dtype=float).reshape(-1, 2)
    areas = measures.prod(1)[objects.videos]
    sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
    sizes = np.sqrt(np.maximum(sides.prod(1), 0))
    middles = (objects.boxes[:, :2] + objects.boxes[:, 2:]) / 2
    return {
        name: _of(objects.videos, objects.frames, objects.instance_ids, rows, sizes, areas, middles)
        for name, rows in found.items()
    }


def _of(
    videos: NDArray[np.int32],
    frames: NDArray[np.int32],
    ids: NDArray[np.int64],
    rows: NDArray[np.int64],
    sizes: NDArray[np.float64],
    areas: NDArray[np.float64],
    middles: NDArray[np.float64],
) -> ClassStatistics:
    rows = rows[np.lexsort((frames[rows], ids[rows], videos[rows]))]
    before, after = rows[:-1], rows[1:]
    same = (videos[before] == videos[after]) & (ids[before] == ids[after])
    step = same & (frames[after] - frames[before] == 1)
    way = np.linalg.norm(middles[after] - middles[before], axis=1)[step]
    starts = np.flatnonzero(np.append(True, ~same)) if len(rows) else np.zeros(0, dtype=np.int64)
    return ClassStatistics(
        len(rows),
        len(starts),
        len(np.unique(videos[rows])),
        sizes[rows],
        sizes[rows] / np.sqrt(areas[rows]),
        way / np.maximum(sizes[after][step], 1e-9),
        np.diff(np.append(starts, len(rows))),
    )
