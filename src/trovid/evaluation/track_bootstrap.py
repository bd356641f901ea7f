"""How sure figures of tracks are: the paired bootstrap over clips (see `bootstrap.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.bootstrap import Bootstrap, average_precision, resample_weights
from trovid.evaluation.clip_matches import ClipMatches
from trovid.evaluation.matching import ClassMatches
from trovid.evaluation.protocols.mot import TrackingCounts
from trovid.evaluation.protocols.youtube_vis import THRESHOLDS, Cell

_ALL_SIZES = 0
Found = TypeVar("Found")


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
    figure: Callable[[Mapping[str, NDArray[np.float64]]], NDArray[np.float64]],
    names: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Bootstrap:
    """A figure of sums of counts on the same resamples of the clips.

    Args:
        models: For each model and training seed the counts of each clip, in the same order.
        figure: From the sums of the counts, Array[B] each, by name, to the figure, Array[B].
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
