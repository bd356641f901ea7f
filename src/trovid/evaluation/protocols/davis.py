"""Region similarity J of DAVIS (Perazzi et al., 2016): the mean IoU of two masks over the frames.

A segmenter that is told nothing finds many tracks where DAVIS labels one or a few objects. J of
its surest track says what it would give for *the* object of a video; J of the best track, chosen
with the truth at hand (an oracle), says whether the object is among its tracks at all. Neither is
DAVIS's own figure, where the object is given in the first frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trovid.structures import Tracks
from trovid.structures.tracks import shape_areas, shape_intersections


@dataclass(frozen=True)
class Similarity:
    """J as fractions of 1, the mean over the labelled objects.

    Attributes:
        surest: Of the track with the highest score.
        oracle: Of the track that suits each object best, chosen with the truth.
    """

    surest: float
    oracle: float


def region_similarities(found: Tracks, true: Tracks) -> NDArray[np.float64]:
    """Array[K, L]: J of each of K tracks with each of L objects; 1 where both are absent.

    Args:
        found: Tracks of masks (or boxes).
        true: Labelled tracks of the same frames.
    """
    total = np.zeros((len(found), len(true)))
    for (rows, a), (columns, b) in zip(found.frames, true.frames, strict=True):
        areas, true_areas = np.zeros((len(found), 1)), np.zeros((1, len(true)))
        areas[rows, 0], true_areas[0, columns] = shape_areas(a), shape_areas(b)
        shared = np.zeros_like(total)
        if len(rows) and len(columns):
            shared[np.ix_(rows, columns)] = shape_intersections(a, b)
        union = areas + true_areas - shared
        total += np.divide(shared, union, out=np.ones_like(shared), where=union > 0)
    return total / max(1, len(found.frames))


def similarity(found: Tracks, true: Tracks) -> Similarity:
    """J of the surest track and of the best; 0 where nothing is found, NaN without an object."""
    if not len(true):
        return Similarity(float("nan"), float("nan"))
    if not len(found):
        return Similarity(0.0, 0.0)
    every = region_similarities(found, true)
    return Similarity(float(every[found.scores.argmax()].mean()), float(every.max(axis=0).mean()))
