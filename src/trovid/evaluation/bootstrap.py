"""How sure a gain is: the paired bootstrap over clips.

AP does not add up over clips, so each resample sorts and integrates anew; the matches of each clip
do not change and are found once (`clip_matches.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.clip_matches import ClipMatches
from trovid.evaluation.matching import RECALL_POINTS, ClassMatches

_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A figure with its percentile interval, as fractions of 1."""

    value: float
    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """AP of several models, each the mean over its seeds, on the same resamples of the clips.

    The interval speaks of other clips, not of other training seeds: the seeds are held fixed.

    Attributes:
        seeds: For each model the AP of each seed on the clips themselves, Array[S].
        resampled: For each model the mean over seeds in each resample, Array[resamples].
    """

    seeds: dict[str, NDArray[np.float64]]
    resampled: dict[str, NDArray[np.float64]]

    def figure(self, model: str, *, level: float = 0.95) -> Interval:
        """AP of a model."""
        return _interval(float(self.seeds[model].mean()), self.resampled[model], level)

    def gain(self, model: str, over: str, *, level: float = 0.95) -> Interval:
        """How much higher the AP of `model` is than that of `over`."""
        value = float(self.seeds[model].mean() - self.seeds[over].mean())
        return _interval(value, self.resampled[model] - self.resampled[over], level)


def bootstrap(
    models: Mapping[str, Sequence[ClipMatches]], *, resamples: int = 1000, seed: int = 0
) -> Bootstrap:
    """Resample the clips with replacement, the same for all models and seeds.

    Args:
        models: For each model the matches of each training seed (`match_clips`), all of the same
            clips and with the same active objects.
        resamples: Number of resamples.
        seed: Of the resampling.

    Raises:
        ValueError: If there is no model, no seed, or the clips or their objects differ.
    """
    everything = [matches for seeds in models.values() for matches in seeds]
    if not models or not all(models.values()):
        raise ValueError("`models` must hold at least one model, and each at least one seed")
    for matches in everything[1:]:
        if matches.clip_names != everything[0].clip_names:
            raise ValueError("all predictions must be of the same clips, but they differ")
        if not np.array_equal(matches.num_objects, everything[0].num_objects):
            raise ValueError("all predictions must be of the same frames and active objects")
    num_clips = len(everything[0].clip_names)
    once = np.ones((1, num_clips), dtype=np.int32)
    weights = resample_weights(num_clips, resamples=resamples, seed=seed)
    return Bootstrap(
        {
            name: np.array([average_precision(matches, once)[0] for matches in seeds])
            for name, seeds in models.items()
        },
        {
            name: np.mean([average_precision(matches, weights) for matches in seeds], axis=0)
            for name, seeds in models.items()
        },
    )


def resample_weights(num_clips: int, *, resamples: int = 1000, seed: int = 0) -> NDArray[np.int32]:
    """Array[resamples, num_clips]: how often each clip occurs in each resample."""
    generator = np.random.default_rng(seed)
    probabilities = np.full(num_clips, 1 / num_clips)
    return generator.multinomial(num_clips, probabilities, size=resamples).astype(np.int32)


def average_precision(matches: ClipMatches, weights: NDArray[np.int32]) -> NDArray[np.float64]:
    """AP (mean over classes that have an object) where clip v occurs `weights[b, v]` times.

    Args:
        matches: Of one model.
        weights: Array[B, V].

    Returns:
        Array[B]; NaN where a resample holds no object.
    """
    num_objects = weights @ matches.num_objects
    total = np.zeros(len(weights))
    for index, found in enumerate(matches.classes):
        clips = matches.clips[found.rows]
        total += _class_precision(
            found, clips, weights, num_objects[:, index], at_points=matches.at_points
        )
    present = (num_objects > 0).sum(axis=1)
    return np.divide(total, present, out=np.full(len(weights), np.nan), where=present > 0)


def _class_precision(
    found: ClassMatches,
    clips: NDArray[np.int64],
    weights: NDArray[np.int32],
    num_objects: NDArray[np.int64],
    *,
    at_points: bool,
) -> NDArray[np.float64]:
    """Array[B]: AP of one class, 0 where it has no object or no right detection.

    Only right detections are points of the curve: between two of them precision falls and recall
    stands still, and of a detection that occurs several times in a row the last is the highest.
    """
    ap = np.zeros(len(weights))
    points = np.flatnonzero(found.right)
    if not len(points):
        return ap
    last = points[-1] + 1
    weigh = None if found.weights is None else np.where(found.right, 1.0, found.weights)[:last]
    rows = max(1, _CELLS_AT_ONCE // last)
    for start in range(0, len(weights), rows):
        part = slice(start, start + rows)
        times = weights[part][:, clips[:last]]
        counted = times if weigh is None else times * weigh
        detections = np.cumsum(counted, axis=1)[:, points]
        right = np.cumsum(times[:, points], axis=1, dtype=np.int32)
        precision = right / (detections + np.spacing(1))
        ceiling = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        if at_points:
            ap[part] = _mean_over_recalls(right, ceiling, num_objects[part])
        else:
            area = (ceiling * times[:, points]).sum(axis=1)
            counts = num_objects[part]
            ap[part] = np.divide(area, counts, out=np.zeros_like(area), where=counts > 0)
    return ap


def _mean_over_recalls(
    right: NDArray[np.int32], ceiling: NDArray[np.float64], num_objects: NDArray[np.int64]
) -> NDArray[np.float64]:
    means = np.zeros(len(right))
    for row, total in enumerate(num_objects.tolist()):
        if total:
            reached = np.searchsorted(right[row] / total, RECALL_POINTS, side="left")
            reached = reached[: np.searchsorted(reached, right.shape[1], side="left")]
            means[row] = ceiling[row, reached].sum() / len(RECALL_POINTS)
    return means


def _interval(value: float, resampled: NDArray[np.float64], level: float) -> Interval:
    low, high = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level)
