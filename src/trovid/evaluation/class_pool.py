"""The detections and objects of one class, and which of them share a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.pool import Pool

PAIRS_AT_ONCE = 1_000_000
Index = NDArray[np.int64]
Rows = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class ClassPool:
    """One class of a pool, in the order in which its detections choose.

    Attributes:
        label: The class.
        rows: Array[D], its detections in the pool, best score first; of equals the first.
        images: Array[D], frame of each.
        boxes: Array[D, 4] float64.
        objects: Array[G], its objects in the pool, frame after frame.
        true_images: Array[G], frame of each.
        true_boxes: Array[G, 4] float64.
    """

    label: int
    rows: Rows
    images: NDArray[np.int32]
    boxes: NDArray[np.float64]
    objects: Rows
    true_images: Index
    true_boxes: NDArray[np.float64]

    @classmethod
    def of(
        cls, pool: Pool, label: int, *, score_type: type[np.floating] | None = None
    ) -> ClassPool:
        """One class of a pool.

        Args:
            pool: Predictions and ground truth.
            label: The class.
            score_type: The precision in which scores are compared; None: that of the pool.
        """
        rows = np.flatnonzero(pool.labels == label).astype(np.int32)
        scores = pool.scores[rows] if score_type is None else pool.scores[rows].astype(score_type)
        rows = rows[np.argsort(-scores, kind="stable")]
        objects = np.flatnonzero(pool.objects.labels == label).astype(np.int32)
        return cls(
            label,
            rows,
            pool.images[rows],
            pool.boxes[rows].astype(np.float64),
            objects,
            pool.true_images[objects],
            pool.objects.boxes[objects],
        )


def walk_pairs(images: NDArray[Any], true_images: NDArray[Any]) -> Iterator[tuple[Index, Index]]:
    """Every pair of a detection and an object of one frame, some millions at a time.

    Args:
        images: Array[D], frame of each detection.
        true_images: Array[G], frame of each object, ascending.

    Yields:
        Array[P] of detections, ascending, and Array[P] of objects.
    """
    last = int(max(images.max(initial=-1), true_images.max(initial=-1)))
    starts = np.searchsorted(true_images, np.arange(last + 2))
    count = np.diff(starts)[images]
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    if not total:
        return
    cuts = np.searchsorted(ends, np.arange(0, total, PAIRS_AT_ONCE), side="right").tolist()
    for low, high in zip(cuts, [*cuts[1:], len(count)], strict=True):
        repeats = count[low:high]
        places = np.repeat(np.arange(low, high), repeats)
        step = np.arange(len(places)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        yield places, np.repeat(starts[images[low:high]], repeats) + step


def serve(
    places: Index, objects: Index, *, detections: int, shared: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Array[detections]: the object that each detection takes, -1 for none.

    In order of score each detection takes the first object of its list that no better one has
    taken. That is the one stable matching of detections and objects that all prefer the better
    score, so it is found by asking in rounds: each detection asks for its next wish, an object
    keeps the best that has asked.

    Args:
        places: Array[P], place of a detection in the order of score, ascending.
        objects: Array[P], an object that it may take; of one detection the most wished first.
        detections: Number of detections.
        shared: Array[G], which objects any number may take.
    """
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    ends = np.append(starts[1:], len(places))
    position = starts.copy()
    taken = np.full(len(starts), -1, dtype=np.int64)
    holder = np.full(len(shared), len(starts), dtype=np.int64)
    asking = np.arange(len(starts))
    while len(asking):
        wish = objects[position[asking]]
        before = holder[wish]
        single = ~shared[wish]
        np.minimum.at(holder, wish[single], asking[single])
        has = ~single | (holder[wish] == asking)
        taken[asking[has]] = wish[has]
        displaced = np.unique(before[(before < len(starts)) & (before != holder[wish])])
        taken[displaced] = -1
        asking = np.concatenate([asking[~has], displaced])
        position[asking] += 1
        asking = asking[position[asking] < ends[asking]]
    taken_by = np.full(detections, -1, dtype=np.int32)
    taken_by[places[starts]] = taken
    return taken_by
