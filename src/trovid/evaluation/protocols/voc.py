"""`voc`: AP50 of ImageNet VID as the code of MEGA computes it.

One threshold of .5 for all. A detection takes, of the free objects of its class that overlap it by
.5, that of the highest IoU. The area under the whole falling curve, the mean over classes.

With the published habits (`clean=False`): boxes and scores in single precision; a box is two pixels
wider and higher than `x2 - x1` (1 is added, and the IoU adds 1 again); a group's range holds both
ends; of equal IoU the first object wins, unless it is ignored; a detection that took no object
weighs 1 or 0 by whether the nearest object of its class in its frame is in the group, the share of
the ignored ones where it is as near to both, and where its class has none there the share of the
group in the motion file, unless that is 0. Clean: widths `x2 - x1`, double precision, each object
in one group, and a wrong detection weighs 1 wherever it is.
"""

from __future__ import annotations

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

THRESHOLD = 0.5


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
        clean: See above.
    """
    class_pool = ClassPool.of(pool, label, score_type=None if clean else np.float32)
    actives = {name: group.active[class_pool.objects] for name, group in groups.items()}
    best = {name: np.full((2, len(class_pool.rows)), -1.0) for name in groups}
    kept = []
    for places, objects in walk_pairs(class_pool.images, class_pool.true_images):
        overlap = _overlaps(class_pool, places, objects, clean)
        enough = overlap >= THRESHOLD
        kept.append((places[enough], objects[enough], overlap[enough]))
        size = places[-1] + 1 - places[0]
        part = slice(places[0], places[-1] + 1)
        for name, active in ({} if clean else actives).items():
            for side, among in enumerate((active[objects], ~active[objects])):
                best[name][side, part] = highest(places - places[0], overlap, among, size)
    columns = [np.concatenate(column) for column in zip(*kept, strict=True)]
    found = {}
    for name, active in actives.items():
        taken = np.full(len(class_pool.rows), -1, dtype=np.int32)
        if columns:
            places, objects, overlap = columns
            later = np.where(active[objects], objects, 2 * len(active) - objects)
            taken = greedy(class_pool, places, objects, np.lexsort((later, -overlap, places)))
        weights = (
            None if clean else _weights(class_pool, active, best[name], groups[name].empty_share)
        )
        found[name] = judged(class_pool, taken, active, weights)
    return found


def _overlaps(
    class_pool: ClassPool, places: NDArray[np.int64], objects: NDArray[np.int64], clean: bool
) -> NDArray[np.float64]:
    first, second = class_pool.boxes[places], class_pool.true_boxes[objects]
    wider = 0
    if not clean:
        first, second = first.astype(np.float32), second.astype(np.float32)
        first[:, 2:] += 1
        second[:, 2:] += 1
        wider = 1
    x1, y1 = np.maximum(first[:, 0], second[:, 0]), np.maximum(first[:, 1], second[:, 1])
    x2, y2 = np.minimum(first[:, 2], second[:, 2]), np.minimum(first[:, 3], second[:, 3])
    shared = np.maximum(x2 - x1 + wider, 0) * np.maximum(y2 - y1 + wider, 0)
    areas = [
        (boxes[:, 2] - boxes[:, 0] + wider) * (boxes[:, 3] - boxes[:, 1] + wider)
        for boxes in (first, second)
    ]
    union = areas[0] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0).astype(np.float64)


def _weights(
    class_pool: ClassPool, active: NDArray[np.bool_], best: NDArray[np.float64], empty_share: float
) -> NDArray[np.float64] | None:
    """What each detection weighs that took no object; None: 1."""
    empty_weight = empty_share or 1.0
    if active.all() and empty_weight == 1:
        return None
    last = int(max(class_pool.images.max(initial=-1), class_pool.true_images.max(initial=-1))) + 1
    in_frame = np.bincount(class_pool.true_images, minlength=last)
    ignored = np.bincount(class_pool.true_images[~active], minlength=last)
    share = np.divide(ignored, in_frame, out=np.zeros(last), where=in_frame > 0)
    weights = weights_by_nearest(*best, share[class_pool.images])
    return np.where(in_frame[class_pool.images] > 0, weights, empty_weight)
