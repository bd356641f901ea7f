"""`devkit`: ImageNet VID's own measure, as the code of FGFA and SELSA computes it.

Each object has a threshold of its own, min(.5, w h / ((w + 10) (h + 10))): some pixels of error are
forgiven. A detection takes, of the free objects of its class whose threshold it meets, that of the
highest IoU. The area under the whole falling precision-recall curve, the mean over classes.

With the published habits (`clean=False`): a group's range holds both ends; a detection that took
no object weighs 1 or 0 by whether the nearest object of its frame, of any class, is in the group,
the share of the frame's ignored objects where it is as near to both, and in a frame without objects
the share of the group in the motion file, where frames without objects are of motion IoU 0.
Clean: each object is in one group, and a wrong detection weighs 1 wherever it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.class_pool import ClassPool, walk_pairs
from trovid.evaluation.matching import ClassMatches
from trovid.evaluation.pool import Pool
from trovid.evaluation.protocols.vid import (
    Group,
    clean_groups,
    greedy,
    highest,
    judged,
    published_groups,
    weights_by_nearest,
)

FORGIVEN = 10
HIGHEST = 0.5


def groups(pool: Pool, *, clean: bool = False) -> dict[str, Group]:
    """All objects ("all") and the motion groups."""
    return clean_groups(pool) if clean else published_groups(pool)


def match(
    pool: Pool, label: int, groups: dict[str, Group], *, clean: bool = False
) -> dict[str, ClassMatches]:
    """The matches of one class in each group.

    Args:
        pool: Predictions and ground truth.
        label: The class.
        groups: Objects that count, by name.
        clean: Whether a wrong detection always weighs 1.
    """
    class_pool = ClassPool.of(pool, label)
    taken = _taken(class_pool)
    if clean:
        return {
            name: judged(class_pool, taken, group.active[class_pool.objects], None)
            for name, group in groups.items()
        }
    weights = _weights(pool, class_pool, taken < 0, groups)
    return {
        name: judged(class_pool, taken, group.active[class_pool.objects], weights[name])
        for name, group in groups.items()
    }


def plain_mean(pool: Pool, per_class: Mapping[str, float]) -> float:
    """The mean as the code without a motion file prints it.

    There a class without objects is 0 where it has no detections, and NaN, which makes the mean
    NaN, where it has some.

    Args:
        pool: Predictions and ground truth.
        per_class: AP of each class, NaN without objects.
    """
    detected = np.bincount(pool.labels, minlength=len(pool.class_names)) > 0
    aps = np.array(list(per_class.values()))
    return float(np.where(np.isnan(aps) & ~detected, 0.0, aps).mean())


def thresholds(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Array[N]: the IoU that finds an object, from its box."""
    width, height = (boxes[:, 2:] - boxes[:, :2] + 1).T
    return np.minimum(width * height / ((width + FORGIVEN) * (height + FORGIVEN)), HIGHEST)


def _taken(class_pool: ClassPool) -> NDArray[np.int32]:
    lowest = thresholds(class_pool.true_boxes)
    kept = []
    for places, objects in walk_pairs(class_pool.images, class_pool.true_images):
        overlap = overlaps(class_pool.boxes[places], class_pool.true_boxes[objects])
        enough = overlap >= lowest[objects]
        kept.append((places[enough], objects[enough], overlap[enough]))
    if not kept:
        return np.full(len(class_pool.rows), -1, dtype=np.int32)
    places, objects, overlap = (np.concatenate(column) for column in zip(*kept, strict=True))
    return greedy(class_pool, places, objects, np.lexsort((objects, -overlap, places)))


def _weights(
    pool: Pool, class_pool: ClassPool, free: NDArray[np.bool_], groups: dict[str, Group]
) -> dict[str, NDArray[np.float64] | None]:
    """By group what each detection weighs that took no object; None: 1."""
    found: dict[str, NDArray[np.float64] | None] = {}
    wrong = np.flatnonzero(free)
    images = class_pool.images[wrong]
    in_frame = np.bincount(pool.true_images, minlength=len(pool.clips))
    partial = {
        name: group
        for name, group in groups.items()
        if group.empty_share != 1 or not group.active.all()
    }
    best = {name: np.full((2, len(wrong)), -1.0) for name in partial}
    for places, objects in walk_pairs(images, pool.true_images):
        overlap = overlaps(class_pool.boxes[wrong[places]], pool.objects.boxes[objects])
        part = slice(places[0], places[-1] + 1)
        for name, group in partial.items():
            for side, among in enumerate((group.active[objects], ~group.active[objects])):
                size = places[-1] + 1 - places[0]
                best[name][side, part] = highest(places - places[0], overlap, among, size)
    for name, group in groups.items():
        if name not in partial:
            found[name] = None
            continue
        ignored = np.bincount(pool.true_images[~group.active], minlength=len(pool.clips))
        share = np.divide(
            ignored, in_frame, out=np.full(len(in_frame), group.empty_share), where=in_frame > 0
        )
        weights = np.zeros(len(free))
        weights[wrong] = weights_by_nearest(*best[name], share[images])
        found[name] = weights
    return found


def overlaps(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Array[P]: IoU of box i with box i; a box is `x2 - x1 + 1` wide."""
    x1, y1 = np.maximum(first[:, 0], second[:, 0]), np.maximum(first[:, 1], second[:, 1])
    x2, y2 = np.minimum(first[:, 2], second[:, 2]), np.minimum(first[:, 3], second[:, 3])
    shared = np.maximum(x2 - x1 + 1, 0) * np.maximum(y2 - y1 + 1, 0)
    return shared / (_area(first) + _area(second) - shared)


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
