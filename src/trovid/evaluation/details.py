"""What a report shows besides its figures: curves, the best score, the worst frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.matching import RECALL_POINTS, ClassMatches
from trovid.evaluation.pool import Pool
from trovid.evaluation.protocols import coco

DECIMALS = 4
WORST = 8
WORST_OF_A_VIDEO = 2


@dataclass(frozen=True)
class WorstFrame:
    """A frame with many errors at the best score.

    Attributes:
        video: Name of the video.
        frame: Index of the frame.
        missed: Objects that are not found.
        false: Detections that find nothing.
    """

    video: str
    frame: int
    missed: int
    false: int


def matches_at_half(pool: Pool) -> list[ClassMatches]:
    """COCO's matches of each class at IoU .5, all objects that count."""
    group = {"all": coco.Group(pool.objects.counted)}
    return [
        coco.match(pool, label, group, ious=(0.5,))["all"].by_iou[0]
        for label in range(len(pool.class_names))
    ]


def precision_curves(pool: Pool, matches: Sequence[ClassMatches]) -> dict[str, list[float]]:
    """For each class with an object the falling precision at COCO's 101 recalls, IoU .5."""
    curves = {}
    for name, class_matches in zip(pool.class_names, matches, strict=True):
        if not class_matches.num_objects:
            continue
        right, precision = class_matches.curve()
        ceiling = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
        reached = np.searchsorted(right / class_matches.num_objects, RECALL_POINTS, side="left")
        curves[name] = np.round(ceiling[reached], DECIMALS).tolist()
    return curves


def counts_at_scores(
    pool: Pool, matches: Sequence[ClassMatches]
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """The scores of right detections of all classes, falling, each once.

    Returns:
        Array[S] of scores, and for each how many detections with at least that score are right,
        and how many there are.
    """
    right = -np.sort(
        -np.concatenate(
            [pool.scores[class_matches.rows[class_matches.right]] for class_matches in matches]
        )
    )
    every = np.concatenate([pool.scores[class_matches.rows] for class_matches in matches])
    every.sort()
    last = np.flatnonzero(np.append(np.diff(right) != 0, True)) if len(right) else np.arange(0)
    scores = right[last]
    return scores, last + 1, len(every) - np.searchsorted(every, scores, side="left")


def best_score(pool: Pool, matches: Sequence[ClassMatches]) -> float | None:
    """The score that gives the best F1 over all classes; None where nothing is right."""
    scores, right, every = counts_at_scores(pool, matches)
    if not len(scores):
        return None
    f1 = 2 * right / (every + sum(class_matches.num_objects for class_matches in matches))
    return float(scores[f1.argmax()])


def precise_score(pool: Pool, matches: Sequence[ClassMatches], *, precision: float) -> float | None:
    """The lowest score of a right detection at which enough of all are right; None for none."""
    scores, right, every = counts_at_scores(pool, matches)
    enough = np.flatnonzero(right / every >= precision)
    return float(scores[enough[-1]]) if len(enough) else None


def worst_frames(
    pool: Pool, matches: Sequence[ClassMatches], score: float | None
) -> list[WorstFrame]:
    """The frames with most errors, at most two of a video, the worst first.

    Args:
        pool: Predictions and ground truth.
        matches: Of each class.
        score: From which on detections count; None: none does.
    """
    missed = pool.objects.counted.copy()
    false = np.zeros(len(pool.clips), dtype=np.int64)
    for class_matches in matches if score is not None else ():
        sure = pool.scores[class_matches.rows] >= score
        assert class_matches.objects is not None
        missed[class_matches.objects[class_matches.right & sure]] = False
        np.add.at(false, pool.images[class_matches.rows[~class_matches.right & sure]], 1)
    lost = np.bincount(pool.true_images[missed], minlength=len(pool.clips))
    chosen: list[int] = []
    of_video: NDArray[np.int64] = np.zeros(len(pool.clip_names), dtype=np.int64)
    for image in np.argsort(-(lost + false), kind="stable").tolist():
        if len(chosen) == WORST or lost[image] + false[image] == 0:
            break
        if of_video[pool.clips[image]] < WORST_OF_A_VIDEO:
            of_video[pool.clips[image]] += 1
            chosen.append(image)
    return [
        WorstFrame(
            pool.clip_names[pool.clips[image]],
            int(pool.frames[image]),
            int(lost[image]),
            int(false[image]),
        )
        for image in chosen
    ]
