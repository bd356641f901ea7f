"""`epic`: mAP of EPIC-KITCHENS-55 at IoU .05, .5 and .75, PASCAL VOC's measure.

Only active objects are annotated there, so a class is judged in the frames where it has an object
and nowhere else (Damen et al., ECCV 2018). A detection looks at the object of its class that it
overlaps most (of equals the first): right if that is enough and no better detection had it, else
wrong. The area under the whole falling curve, the mean over classes that have an object. A box
is `x2 - x1 + 1` wide, as in PASCAL VOC's code; the official evaluator is not public.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trovid.evaluation.class_pool import ClassPool, walk_pairs
from trovid.evaluation.matching import ClassMatches
from trovid.evaluation.pool import Pool
from trovid.evaluation.protocols.devkit import overlaps

IOUS = (0.05, 0.5, 0.75)


def match(pool: Pool, label: int, *, ious: Sequence[float] = IOUS) -> list[ClassMatches]:
    """The matches of one class at each overlap."""
    class_pool = ClassPool.of(pool, label)
    counted = pool.objects.counted[class_pool.objects]
    best = np.full(len(class_pool.rows), -1.0)
    wished = np.full(len(class_pool.rows), -1)
    for places, objects in walk_pairs(class_pool.images, class_pool.true_images):
        overlap = overlaps(class_pool.boxes[places], class_pool.true_boxes[objects])
        order = np.lexsort((objects, -overlap, places))
        firsts = order[np.flatnonzero(np.diff(places[order], prepend=-1))]
        best[places[firsts]], wished[places[firsts]] = overlap[firsts], objects[firsts]
    judged = np.isin(class_pool.images, class_pool.true_images[counted])
    found = []
    for iou in ious:
        enough = best >= iou
        _, first = np.unique(wished[enough], return_index=True)
        right = np.zeros(len(best), dtype=bool)
        right[np.flatnonzero(enough)[first]] = True
        ignored = enough & ~counted[wished] if len(counted) else np.zeros(len(best), dtype=bool)
        counts = judged & ~ignored
        found.append(ClassMatches(right[counts], class_pool.rows[counts], int(counted.sum())))
    return found
