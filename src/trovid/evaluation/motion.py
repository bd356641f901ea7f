"""How fast objects move: motion IoU and the groups slow, medium and fast made of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trovid.datasets.objects import Objects

REACH = 10
SLOW_ABOVE, FAST_BELOW = 0.9, 0.7
MOTION_RANGES = {
    "motion: slow": (SLOW_ABOVE, 1.0),
    "motion: medium": (FAST_BELOW, SLOW_ABOVE),
    "motion: fast": (0.0, FAST_BELOW),
}
"""Both ends belong to a range where a figure follows the published code."""


def motion_iou(objects: Objects) -> NDArray[np.float64]:
    """Array[N]: mean IoU of each box with the same instance in the 10 frames before and after.

    The definition of Flow-Guided Feature Aggregation (Zhu et al., ICCV 2017): frames t-10..t+10
    in which the instance has a box, t itself left out; a box is `x2 - x1 + 1` wide. An instance of
    one single frame has nothing to be compared with and gets 0, which is "fast".

    Args:
        objects: All labelled objects, not only those of evaluated frames.
    """
    order = np.lexsort((objects.frames, objects.instance_ids, objects.videos))
    boxes, frames = objects.boxes[order], objects.frames[order].astype(np.int64)
    same = np.stack([objects.videos[order], objects.instance_ids[order]])
    total, count = np.zeros(len(order)), np.zeros(len(order), dtype=np.int64)
    for step in range(1, REACH + 1):
        near = (same[:, step:] == same[:, :-step]).all(axis=0)
        near &= frames[step:] - frames[:-step] <= REACH
        near &= frames[step:] > frames[:-step]
        first = np.flatnonzero(near)
        if not len(first):
            break
        overlap = _iou(boxes[first], boxes[first + step])
        for rows in (first, first + step):
            total[rows] += overlap
            count[rows] += 1
    found = np.zeros(len(order))
    found[order] = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    return found


def tracked(objects: Objects) -> bool:
    """Whether the labels follow instances: any has boxes in two frames at most 10 apart."""
    order = np.lexsort((objects.frames, objects.instance_ids, objects.videos))
    columns = (objects.videos, objects.instance_ids)
    same = np.all([np.diff(column[order]) == 0 for column in columns], axis=0)
    step = np.diff(objects.frames[order])
    return bool((same & (step > 0) & (step <= REACH)).any())


def motion_groups(motion: NDArray[np.floating]) -> dict[str, NDArray[np.bool_]]:
    """Array[N] each: slow above .9, fast below .7, medium between and at both ends."""
    slow, fast = motion > SLOW_ABOVE, motion < FAST_BELOW
    return {"motion: slow": slow, "motion: medium": ~slow & ~fast, "motion: fast": fast}


def _iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of box i with box i, widths with + 1."""
    ends = np.minimum(first[:, 2:], second[:, 2:])
    shared = np.maximum(ends - np.maximum(first[:, :2], second[:, :2]) + 1, 0).prod(axis=1)
    areas = [(boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1) for boxes in (first, second)]
    return shared / (areas[0] + areas[1] - shared)
