"""Which detection takes which object: COCO's rule in numpy, for figures that need every match.

`coco_ap.py` computes the reported AP with faster-coco-eval, which keeps its matches to itself;
the bootstrap needs them. Both give the same AP (a test holds them together).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.pool import MAX_DETECTIONS, Pool


@dataclass(frozen=True, eq=False)
class ClassMatches:
    """Detections of one class that are right or wrong, best score first; ignored ones are gone.

    Attributes:
        right: Array[N] of bool.
        clips: Array[N], clip of each.
    """

    right: NDArray[np.bool_]
    clips: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClipMatches:
    """All that AP at one IoU threshold needs to know of a model's detections.

    Attributes:
        clip_names: Names of the V clips.
        num_objects: Array[V, num_classes], objects to find.
        classes: Matches of each class.
    """

    clip_names: tuple[str, ...]
    num_objects: NDArray[np.int64]
    classes: tuple[ClassMatches, ...]


def match_clips(
    pool: Pool, *, active: NDArray[np.bool_] | None = None, iou: float = 0.5
) -> ClipMatches:
    """Match detections with objects as COCO does.

    In a frame and class the best 100 detections choose in order of score: the free active object
    of highest IoU that reaches `iou`; if there is none, the free ignored one of highest IoU (of
    equals the last). A detection with an active object is right, one with an ignored object does
    not count, one with none is wrong. A crowd is ignored and takes any number of detections; its
    overlap is the part of the detection that lies within.

    Args:
        pool: Predictions and ground truth.
        active: Array[G] of bool, the objects that count, of those that may (`Pool.counted`, the
            default); the rest is ignored.
        iou: Overlap that makes a match.
    """
    active = pool.objects.counted if active is None else active & pool.objects.counted
    order, right = _right(pool, active, iou)
    clips, labels = pool.clips[pool.images[order]], pool.labels[order]
    num_objects = np.zeros((len(pool.clip_names), len(pool.class_names)), dtype=np.int64)
    true_clips = pool.clips[pool.true_images[active]]
    np.add.at(num_objects, (true_clips, pool.objects.labels[active]), 1)
    return ClipMatches(
        pool.clip_names,
        num_objects,
        tuple(
            ClassMatches(right[labels == c], clips[labels == c])
            for c in range(len(pool.class_names))
        ),
    )


def scored_matches(
    pool: Pool, *, iou: float = 0.5
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The scores of the detections that count, best first, and which of them are right."""
    order, right = _right(pool, pool.objects.counted, iou)
    return pool.scores[order], right


def _right(
    pool: Pool, active: NDArray[np.bool_], iou: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The detections that count, best first, and which of them are right."""
    order = np.argsort(-pool.scores, kind="stable")
    order = order[_rank_in_cell(_cells(pool, order)) < MAX_DETECTIONS]
    taken_by = _greedy(pool, order, active, iou)

    wrong = taken_by < 0
    right = ~wrong & active[taken_by] if len(active) else np.zeros_like(wrong)
    counts = wrong | right
    return order[counts], right[counts]


def _cells(pool: Pool, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each frame and class."""
    return pool.images[order] * len(pool.class_names) + pool.labels[order]


def _rank_in_cell(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many earlier entries have the same value."""
    order = np.argsort(cells, kind="stable")
    in_order = cells[order]
    starts = np.searchsorted(in_order, in_order, side="left")
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order)) - starts
    return ranks


def _greedy(
    pool: Pool, order: NDArray[np.int64], active: NDArray[np.bool_], iou: float
) -> NDArray[np.int64]:
    """Array[len(order)]: the object that each detection takes, -1 for none."""
    # every pair of a detection (by its place in `order`) and an object of its frame and class
    cells = _cells(pool, order)
    true_cells = pool.true_images * len(pool.class_names) + pool.objects.labels
    by_cell = np.argsort(true_cells, kind="stable")
    first = np.searchsorted(true_cells[by_cell], cells, side="left")
    count = np.searchsorted(true_cells[by_cell], cells, side="right") - first
    place = np.repeat(np.arange(len(order)), count)
    step = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
    truth = by_cell[np.repeat(first, count) + step]

    overlap = _paired_iou(
        pool.boxes[order[place]], pool.objects.boxes[truth], pool.objects.crowd[truth]
    )
    enough = overlap >= min(iou, 1 - 1e-10)
    place, truth, overlap = place[enough], truth[enough], overlap[enough]
    wish = np.lexsort((-truth, -overlap, ~active[truth], place))

    taken_by = np.full(len(order), -1, dtype=np.int64)
    free = np.ones(len(active), dtype=bool)
    for detection, candidate in zip(place[wish].tolist(), truth[wish].tolist(), strict=True):
        if taken_by[detection] < 0 and free[candidate]:
            taken_by[detection] = candidate
            free[candidate] = pool.objects.crowd[candidate]
    return taken_by


def _paired_iou(
    first: NDArray[np.float64], second: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """IoU of box i with box i, or where that is a crowd the part of the first that lies within it.

    Through widths, in the order of operations of COCO's code.
    """
    sizes_a, sizes_b = first[:, 2:] - first[:, :2], second[:, 2:] - second[:, :2]
    ends = np.minimum(first[:, :2] + sizes_a, second[:, :2] + sizes_b)
    shared = np.maximum(ends - np.maximum(first[:, :2], second[:, :2]), 0).prod(axis=1)
    union = sizes_a.prod(axis=1) + sizes_b.prod(axis=1) - shared
    union[crowd] = sizes_a[crowd].prod(axis=1)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
