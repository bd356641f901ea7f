"""The score from which detections are worth showing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trovid.evaluation.clip_matches import match_clips
from trovid.evaluation.pool import Pool


@dataclass(frozen=True)
class ScoreThreshold:
    """A lowest score, and how good the detections from it on are.

    Attributes:
        score: The lowest score.
        f1: Harmonic mean of precision and recall, over all classes together.
        precision: Share of the detections that are right.
        recall: Share of the objects that are found.
    """

    score: float
    f1: float
    precision: float
    recall: float


def best_score_threshold(pool: Pool, *, iou: float = 0.5) -> ScoreThreshold | None:
    """The lowest score that gives the best F1 over the detections of all classes.

    Of equal F1 the highest score is taken. Detections match objects as in `match_clips`.

    Args:
        pool: Predictions and ground truth.
        iou: Overlap that makes a match.

    Returns:
        None where no detection is right.
    """
    classes = match_clips(pool, iou=iou).classes
    rows = np.concatenate([matches.rows for matches in classes])
    order = np.argsort(-pool.scores[rows], kind="stable")
    scores, right = (
        pool.scores[rows][order],
        np.concatenate([matches.right for matches in classes])[order],
    )
    objects = int(pool.objects.counted.sum())
    found = np.cumsum(right)
    if not objects or not len(found) or not found[-1]:
        return None
    last = np.append(scores[1:] != scores[:-1], True)  # equal scores are shown together
    count = np.arange(1, len(scores) + 1)
    f1 = np.where(last, 2 * found / (count + objects), 0)
    best = int(f1.argmax())
    return ScoreThreshold(
        math.floor(1e4 * float(scores[best])) / 1e4,
        float(f1[best]),
        float(found[best] / count[best]),
        float(found[best] / objects),
    )
