"""What the two published codes for ImageNet VID have in common: all-point AP, motion groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.class_pool import ClassPool, serve
from trovid.evaluation.matching import ClassMatches
from trovid.evaluation.motion import MOTION_RANGES, motion_groups
from trovid.evaluation.pool import Pool


@dataclass(frozen=True, eq=False)
class Group:
    """The objects that count; the others are ignored.

    Attributes:
        active: Array[G] of the pool's objects.
        empty_share: What a detection in a frame without objects weighs in the published code: the
            part of the entries of the motion file that lie in the group's range, where each frame
            without objects is one entry of value 0.
    """

    active: NDArray[np.bool_]
    empty_share: float = 1.0


def published_groups(pool: Pool) -> dict[str, Group]:
    """All objects ("all"), and where motion is known "motion: slow", "medium" and "fast".

    Both ends belong to a group: an object of motion IoU .7 or .9 exactly is in two.
    """
    counted = pool.objects.counted
    groups = {"all": Group(counted)}
    motion = pool.attribute("motion_iou")
    if motion is None:
        return groups
    empty = len(pool.clips) - len(np.unique(pool.true_images))
    for name, (low, high) in MOTION_RANGES.items():
        inside = (motion >= low) & (motion <= high)
        share = (int(inside.sum()) + empty * (low <= 0)) / (len(motion) + empty)
        groups[name] = Group(inside & counted, share)
    return groups


def clean_groups(pool: Pool) -> dict[str, Group]:
    """The same with each object in one group: slow above .9, fast below .7."""
    groups = {"all": Group(pool.objects.counted)}
    motion = pool.attribute("motion_iou")
    if motion is not None:
        for name, inside in motion_groups(motion).items():
            groups[name] = Group(inside & pool.objects.counted)
    return groups


def greedy(
    class_pool: ClassPool,
    places: NDArray[np.int64],
    objects: NDArray[np.int64],
    wish: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Array[D]: the object of the class that each detection takes, -1 for none.

    Args:
        class_pool: The class.
        places: Array[P], detections that may take an object.
        objects: Array[P], the object, by its number in the class.
        wish: Array[P], the order of the pairs: detection after detection, the most wished first.
    """
    return serve(
        places[wish],
        objects[wish],
        detections=len(class_pool.rows),
        shared=np.zeros(len(class_pool.objects), dtype=bool),
    )


def judged(
    class_pool: ClassPool,
    taken: NDArray[np.int32],
    active: NDArray[np.bool_],
    weights: NDArray[np.float64] | None,
) -> ClassMatches:
    """Which detections are right, and what the wrong ones weigh.

    Args:
        class_pool: The class.
        taken: Array[D], the object of the class that each has taken.
        active: Array[G] of the class's objects.
        weights: Array[D], of the detections that took none; None: 1.
    """
    free = taken < 0
    right = ~free & active[taken] if len(active) else np.zeros(len(taken), dtype=bool)
    counts = free | right if weights is None else right | (free & (weights > 0))
    return ClassMatches(
        right[counts],
        class_pool.rows[counts],
        int(active.sum()),
        None if weights is None else weights[counts],
    )


def weights_by_nearest(
    inside: NDArray[np.float64], outside: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Array[D]: what a detection that took no object weighs in a group.

    Args:
        inside: Array[D], its highest IoU with an object of the group, -1 without one.
        outside: Array[D], with one outside.
        share: Array[D], the weight where both are equal.
    """
    return np.where(inside > outside, 1.0, np.where(inside < outside, 0.0, share))


def highest(
    places: NDArray[np.int64], overlap: NDArray[np.float64], among: NDArray[np.bool_], size: int
) -> NDArray[np.float64]:
    """Array[size]: of each detection the highest overlap among chosen pairs, -1 without one.

    Args:
        places: Array[P], detections, ascending.
        overlap: Array[P].
        among: Array[P], the pairs that are looked at.
        size: Number of detections.
    """
    best = np.full(size, -1.0)
    if len(places):
        firsts = np.flatnonzero(np.diff(places, prepend=-1))
        best[places[firsts]] = np.maximum.reduceat(np.where(among, overlap, -1.0), firsts)
    return best
