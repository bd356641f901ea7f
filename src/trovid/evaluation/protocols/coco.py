"""`coco`: COCO's average precision, as pycocotools computes it.

A detection takes, of the free objects of its class that overlap it enough, that of the highest IoU
(of equals the last), one that counts before one that is ignored; at most 100 detections a frame and
class. Widths are `x2 - x1`. Precision at 101 recalls, the mean over classes that have an object, AP
also the mean over IoU .50:.05:.95.

Ignored are objects that the labels ignore, crowds, and those outside a group: a detection that
takes one is neither right nor wrong. A crowd takes any number of detections; its overlap is the
part of the detection that lies within. A size (small, medium, large) ignores besides each detection
of another size that takes nothing; with all other groups such a detection is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.class_pool import ClassPool, serve, walk_pairs
from trovid.evaluation.matching import ClassMatches
from trovid.evaluation.pool import MAX_DETECTIONS, Pool

IOUS = tuple(np.linspace(0.5, 0.95, 10).tolist())
LIMITS = (1, 10, MAX_DETECTIONS)
SIZES = {
    "size: small": (0.0, 32.0**2),
    "size: medium": (32.0**2, 96.0**2),
    "size: large": (96.0**2, 1e10),
}
"""Areas in square pixels; both ends belong to each."""


@dataclass(frozen=True, eq=False)
class Group:
    """The objects that count; the others are ignored.

    Attributes:
        active: Array[G] of the pool's objects.
        areas: Lowest and highest area of a detection that can be wrong; None: any.
    """

    active: NDArray[np.bool_]
    areas: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class CocoMatches:
    """The matches of one class in one group.

    Attributes:
        by_iou: At each IoU threshold.
        recalls: Array[thresholds, 3]: the recall of the best 1, 10 and 100 detections a frame.
    """

    by_iou: list[ClassMatches]
    recalls: NDArray[np.float64]


def size_groups(pool: Pool) -> dict[str, Group]:
    """Small, medium and large objects, by the area of their boxes."""
    areas = _areas(pool.objects.boxes)
    return {
        name: Group(pool.objects.counted & (areas >= low) & (areas <= high), (low, high))
        for name, (low, high) in SIZES.items()
    }


def match(
    pool: Pool, label: int, groups: Mapping[str, Group], *, ious: Sequence[float] = IOUS
) -> dict[str, CocoMatches]:
    """The matches of one class in each group.

    Args:
        pool: Predictions and ground truth.
        label: The class.
        groups: Objects that count, by name.
        ious: Overlaps that make a match.
    """
    class_pool = ClassPool.of(pool, label)
    ranks = _ranks(class_pool.images)
    crowd = pool.objects.crowd[class_pool.objects]
    places, objects, overlap = _pairs(class_pool, ranks < MAX_DETECTIONS, crowd, min(ious))
    found = {}
    for name, group in groups.items():
        active = group.active[class_pool.objects]
        wish = np.lexsort((-objects, -overlap, ~active[objects], places))
        by_iou = []
        recalls = np.full((len(ious), len(LIMITS)), np.nan)
        for number, iou in enumerate(ious):
            enough = wish[overlap[wish] >= min(iou, 1 - 1e-10)]
            taken = serve(places[enough], objects[enough], detections=len(ranks), shared=crowd)
            matches, recalls[number] = _judged(class_pool, taken, active, ranks, group.areas)
            by_iou.append(matches)
        found[name] = CocoMatches(by_iou, recalls)
    return found


def _judged(
    class_pool: ClassPool,
    taken: NDArray[np.int32],
    active: NDArray[np.bool_],
    ranks: NDArray[np.int32],
    areas: tuple[float, float] | None,
) -> tuple[ClassMatches, list[float]]:
    wrong = taken < 0
    right = ~wrong & active[taken] if len(active) else np.zeros(len(taken), dtype=bool)
    if areas is not None:
        size = _areas(class_pool.boxes)
        wrong &= (size >= areas[0]) & (size <= areas[1])
    total = int(active.sum())
    recalls = [
        int((right & (ranks < limit)).sum()) / total if total else np.nan for limit in LIMITS
    ]
    counts = (right | wrong) & (ranks < MAX_DETECTIONS)
    places = class_pool.objects[taken] if total else taken
    return ClassMatches(
        right[counts], class_pool.rows[counts], total, objects=places[counts]
    ), recalls


def _ranks(images: NDArray[np.int32]) -> NDArray[np.int32]:
    """Array[D]: how many better detections of the class the frame has."""
    order = np.argsort(images, kind="stable")
    starts = np.cumsum(np.bincount(images)) - np.bincount(images)
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order] = np.arange(len(order)) - starts[images[order]]
    return ranks


def _pairs(
    class_pool: ClassPool, looked_at: NDArray[np.bool_], crowd: NDArray[np.bool_], lowest: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Detection, object and overlap of each pair that overlaps enough."""
    kept = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for places, objects in walk_pairs(class_pool.images, class_pool.true_images):
        overlap = overlaps(class_pool.boxes[places], class_pool.true_boxes[objects], crowd[objects])
        enough = looked_at[places] & (overlap >= min(lowest, 1 - 1e-10))
        kept.append((places[enough], objects[enough], overlap[enough]))
    places, objects, overlap = (np.concatenate(column) for column in zip(*kept, strict=True))
    return places, objects, overlap


def overlaps(
    first: NDArray[np.float64], second: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """IoU of box i with box i, or where that is a crowd the part of the first that lies within it.

    Through widths, in the order of operations of COCO's code.
    """
    sizes_a, sizes_b = first[:, 2:] - first[:, :2], second[:, 2:] - second[:, :2]
    ends = np.minimum(first[:, :2] + sizes_a, second[:, :2] + sizes_b)
    sides = np.maximum(ends - np.maximum(first[:, :2], second[:, :2]), 0)
    shared = sides[:, 0] * sides[:, 1]
    area = sizes_a[:, 0] * sizes_a[:, 1]
    union = np.where(crowd, area, area + sizes_b[:, 0] * sizes_b[:, 1] - shared)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
