"""How sure figures of tracks are: the paired bootstrap over clips (see `bootstrap.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.bootstrap import (
    Bootstrap,
    Interval,
    average_precision,
    bootstrap,
    resample_weights,
)
from trovid.evaluation.clip_matches import ClipMatches
from trovid.evaluation.matching import ClassMatches
from trovid.evaluation.protocols.mot import TrackingCounts
from trovid.evaluation.protocols.youtube_vis import THRESHOLDS, Cell

_ALL_SIZES = 0
_HALF = 0
Found = TypeVar("Found")
Sums = Mapping[str, NDArray[np.float64]]
"""By name sums of counts in each resample, Array[B], or Array[B, len(ALPHAS)]."""


def clip_matches(
    cells: Sequence[Cell], clip_names: Sequence[str], num_classes: int, threshold: int
) -> ClipMatches:
    """What AP at one IoU threshold needs to know of tracks.

    Args:
        cells: What `match_tracks` found.
        clip_names: The videos, in the order in which cells number them.
        num_classes: Number of classes.
        threshold: Place of the threshold in THRESHOLDS.
    """
    num_objects = np.zeros((len(clip_names), num_classes), dtype=np.int64)
    for cell in cells:
        num_objects[cell.video, cell.label] += cell.num_objects[_ALL_SIZES]
    clips: list[NDArray[np.int64]] = []
    classes = []
    start = 0
    for label in range(num_classes):
        class_cells = [cell for cell in cells if cell.label == label]
        scores, matched, ignored = (
            np.concatenate([part, *parts])
            for part, parts in (
                (np.zeros(0), [cell.scores for cell in class_cells]),
                (
                    np.zeros(0, dtype=bool),
                    [cell.matched[_ALL_SIZES, threshold] for cell in class_cells],
                ),
                (
                    np.zeros(0, dtype=bool),
                    [cell.ignored[_ALL_SIZES, threshold] for cell in class_cells],
                ),
            )
        )
        clips += [np.full(len(cell.scores), cell.video, dtype=np.int64) for cell in class_cells]
        order = np.argsort(-scores, kind="stable")
        order = order[~ignored[order]]
        classes.append(
            ClassMatches(matched[order], start + order, int(num_objects[:, label].sum()))
        )
        start += len(scores)
    every = np.concatenate(clips) if clips else np.zeros(0, dtype=np.int64)
    return ClipMatches(tuple(clip_names), every, num_objects, tuple(classes))


def bootstrap_tracks(
    models: Mapping[str, Sequence[Sequence[Cell]]],
    clip_names: Sequence[str],
    num_classes: int,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Bootstrap:
    """AP of tracks (mean over IoU thresholds) on the same resamples of the clips.

    Args:
        models: For each model the cells of each training seed, all of the same clips.
        clip_names: The clips, in the order in which cells number them.
        num_classes: Number of classes.
        resamples: Number of resamples.
        seed: Of the resampling.
    """

    def precision(cells: Sequence[Cell], weights: NDArray[np.int32]) -> NDArray[np.float64]:
        found = (
            average_precision(clip_matches(cells, clip_names, num_classes, place), weights)
            for place in range(len(THRESHOLDS))
        )
        return np.mean(list(found), axis=0)

    return _resampled(models, precision, len(clip_names), resamples, seed)


def bootstrap_counts(
    models: Mapping[str, Sequence[Sequence[TrackingCounts]]],
    figure: Callable[[Sums], NDArray[np.float64]],
    names: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Bootstrap:
    """A figure of sums of counts on the same resamples of the clips.

    Args:
        models: For each model and training seed the counts of each clip, in the same order.
        figure: From the sums of the counts to the figure, Array[B].
        names: The counts that it needs (`TrackingCounts`).
        resamples: Number of resamples.
        seed: Of the resampling.
    """
    clips = {len(counts) for seeds in models.values() for counts in seeds}
    if len(clips) != 1:
        raise ValueError(f"all models and seeds must be of the same clips, but are of {clips}")

    def value(counts: Sequence[TrackingCounts], weights: NDArray[np.int32]) -> NDArray[np.float64]:
        columns = {
            n: np.array([getattr(clip_counts, n) for clip_counts in counts], dtype=float)
            for n in names
        }
        return figure({name: weights @ column for name, column in columns.items()})

    return _resampled(models, value, clips.pop(), resamples, seed)


def vis_intervals(
    cells: Sequence[Cell], clip_names: Sequence[str], num_classes: int, *, resamples: int
) -> dict[str, Interval]:
    """AP and AP50 of tracks with the intervals that other videos would give.

    Args:
        cells: What `match_tracks` found.
        clip_names: The videos, in the order in which cells number them.
        num_classes: Number of classes.
        resamples: How often the videos are drawn.
    """
    half = clip_matches(cells, clip_names, num_classes, _HALF)
    every = bootstrap_tracks({"": [cells]}, clip_names, num_classes, resamples=resamples)
    return {
        "ap": every.figure(""),
        "ap50": bootstrap({"": [half]}, resamples=resamples).figure(""),
    }


def tracking_intervals(counts: Sequence[TrackingCounts], *, resamples: int) -> dict[str, Interval]:
    """HOTA, MOTA, IDF1 and switches with the intervals that other videos would give.

    Args:
        counts: Of each video, all classes together.
        resamples: How often the videos are drawn.
    """
    return {
        name: bootstrap_counts({"": [counts]}, figure, names, resamples=resamples).figure("")
        for name, (figure, names) in COUNTED_FIGURES.items()
    }


def _idf1_of(sums: Sums) -> NDArray[np.float64]:
    """IDF1 of sums of `id_tp`, `id_fp` and `id_fn`."""
    all_ = sums["id_tp"] + 0.5 * (sums["id_fp"] + sums["id_fn"])
    return sums["id_tp"] / np.maximum(1, all_)


def _switches_of(sums: Sums) -> NDArray[np.float64]:
    """Identity switches."""
    return sums["switches"]


def _hota_of(sums: Sums) -> NDArray[np.float64]:
    det_a = sums["tp"] / np.maximum(1, sums["tp"] + sums["fn"] + sums["fp"])
    ass_a = sums["association"] / np.maximum(1, sums["tp"])
    return np.sqrt(det_a * ass_a).mean(axis=1)


def _mota_of(sums: Sums) -> NDArray[np.float64]:
    right = sums["clear_tp"] - sums["clear_fp"] - sums["switches"]
    return right / np.maximum(1, sums["clear_tp"] + sums["clear_fn"])


COUNTED_FIGURES: Mapping[str, tuple[Callable[[Sums], NDArray[np.float64]], tuple[str, ...]]] = {
    "hota": (_hota_of, ("tp", "fn", "fp", "association")),
    "mota": (_mota_of, ("clear_tp", "clear_fp", "clear_fn", "switches")),
    "idf1": (_idf1_of, ("id_tp", "id_fp", "id_fn")),
    "switches": (_switches_of, ("switches",)),
}
"""By the names of `TrackingFigures` how a figure comes from sums of counts, and of which."""


def _resampled(
    models: Mapping[str, Sequence[Found]],
    figure: Callable[[Found, NDArray[np.int32]], NDArray[np.float64]],
    num_clips: int,
    resamples: int,
    seed: int,
) -> Bootstrap:
    once = np.ones((1, num_clips), dtype=np.int32)
    weights = resample_weights(num_clips, resamples=resamples, seed=seed)
    return Bootstrap(
        {n: np.array([figure(found, once)[0] for found in seeds]) for n, seeds in models.items()},
        {
            n: np.mean([figure(found, weights) for found in seeds], axis=0)
            for n, seeds in models.items()
        },
    )
