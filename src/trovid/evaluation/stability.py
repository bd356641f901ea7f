"""How steadily objects are found along their tracks: flicker, gaps, changes of class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.class_pool import serve, walk_pairs
from trovid.evaluation.details import precise_score
from trovid.evaluation.matching import ClassMatches
from trovid.evaluation.motion import tracked
from trovid.evaluation.pool import Pool
from trovid.evaluation.protocols import coco

IOU = 0.5
PRECISION = 0.8


@dataclass(frozen=True)
class Gap:
    """The longest time for which an object is lost between two frames in which it is found.

    Attributes:
        frames: Evaluated frames without it.
        video: Name of the video.
        instance_id: The object.
        first_frame: Index of the first of them.
    """

    frames: int
    video: str
    instance_id: int
    first_frame: int


@dataclass(frozen=True)
class Stability:
    """How steadily objects are found, at one score for all classes.

    A step goes from an evaluated frame to the next, of an object that is in both. An object is
    found where a detection of its class takes it (COCO's rule, IoU 0.5).

    Attributes:
        score: The lowest score at which at least 80 % of the detections are right; None where no
            score gives that, and nothing below is known then.
        recall: The part of the objects found at that score.
        num_tracks: Objects followed.
        num_steps: Steps.
        appears: Steps at which an object that was lost is found, per 100 steps.
        vanishes: Steps at which one that was found is lost, per 100 steps.
        class_changes: Steps at which the class shown on it changes, per 100 steps at which both
            frames show one; what shows it is the detection of any class that takes it.
        worst_gap: The longest gap; None without any.
    """

    score: float | None
    recall: float
    num_tracks: int
    num_steps: int
    appears: float
    vanishes: float
    class_changes: float
    worst_gap: Gap | None


def stability(pool: Pool, matches: Sequence[ClassMatches]) -> Stability | None:
    """Flicker, gaps and class changes; None where the labels follow no instance.

    Args:
        pool: Predictions and ground truth.
        matches: Of each class (`matches_at_half`).
    """
    if not tracked(pool.objects):
        return None
    score = precise_score(pool, matches, precision=PRECISION)
    order = _along_tracks(pool)
    followed = pool.objects[order]
    images = pool.true_images[order]
    same = (np.diff(followed.instance_ids) == 0) & (np.diff(images) == 1)
    same &= np.diff(followed.videos) == 0
    tracks = len(np.unique(np.stack([followed.videos, followed.instance_ids]), axis=1).T)
    steps = int(same.sum())
    if score is None:
        nan = float("nan")
        return Stability(None, nan, tracks, steps, nan, nan, nan, None)
    found = np.zeros(len(pool.objects), dtype=bool)
    for class_matches in matches:
        sure = class_matches.right & (pool.scores[class_matches.rows] >= score)
        assert class_matches.objects is not None
        found[class_matches.objects[sure]] = True
    seen = found[order]
    shown = _shown_classes(pool, score)[order]
    both = same & (shown[:-1] >= 0) & (shown[1:] >= 0)
    changed = both & (shown[:-1] != shown[1:])
    return Stability(
        score,
        float(seen.mean()),
        tracks,
        steps,
        _per_100(same & ~seen[:-1] & seen[1:], same),
        _per_100(same & seen[:-1] & ~seen[1:], same),
        _per_100(changed, both),
        _worst_gap(pool, order, same, seen),
    )


def _along_tracks(pool: Pool) -> NDArray[np.int64]:
    """The counted objects, track after track and frame after frame."""
    objects = pool.objects
    order = np.lexsort((pool.true_images, objects.instance_ids, objects.videos))
    return order[objects.counted[order]]


def _shown_classes(pool: Pool, score: float) -> NDArray[np.int64]:
    """Array[G]: the class of the detection that takes each object; -1 for none."""
    rows = np.flatnonzero(pool.scores >= score)
    rows = rows[np.argsort(-pool.scores[rows], kind="stable")]
    boxes = pool.boxes[rows].astype(np.float64)
    no_crowd = np.zeros(len(pool.objects), dtype=bool)
    kept = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for places, objects in walk_pairs(pool.images[rows], pool.true_images):
        overlap = coco.overlaps(boxes[places], pool.objects.boxes[objects], no_crowd[objects])
        enough = (overlap >= IOU) & pool.objects.counted[objects]
        kept.append((places[enough], objects[enough], overlap[enough]))
    places, objects, overlap = (np.concatenate(column) for column in zip(*kept, strict=True))
    wish = np.lexsort((objects, -overlap, places))
    taken = serve(places[wish], objects[wish], detections=len(rows), shared=no_crowd)
    shown = np.full(len(pool.objects), -1, dtype=np.int64)
    shown[taken[taken >= 0]] = pool.labels[rows[taken >= 0]]
    return shown


def _worst_gap(
    pool: Pool, order: NDArray[np.int64], same: NDArray[np.bool_], seen: NDArray[np.bool_]
) -> Gap | None:
    """Among runs of steps: between two found frames the most lost ones."""
    run = np.cumsum(np.append(True, ~same))
    found = np.flatnonzero(seen)
    inside = run[found[1:]] == run[found[:-1]]
    lengths = np.where(inside, np.diff(found) - 1, 0)
    if not len(lengths) or not lengths.max():
        return None
    first = order[found[lengths.argmax()] + 1]
    image = pool.true_images[first]
    return Gap(
        int(lengths.max()),
        pool.clip_names[pool.clips[image]],
        int(pool.objects.instance_ids[first]),
        int(pool.objects.frames[first]),
    )


def _per_100(some: NDArray[np.bool_], all_: NDArray[np.bool_]) -> float:
    total = int(all_.sum())
    return 100 * int(some.sum()) / total if total else float("nan")
