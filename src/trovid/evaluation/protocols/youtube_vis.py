"""The metric of YouTube-VIS (Yang et al., Video Instance Segmentation, 2019): AP of tracks.

COCO's AP with tracks in the place of detections: two tracks overlap by the sum of their
intersections over the frames, divided by the sum of their unions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trovid.structures.tracks import Tracks, track_overlaps

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST_TRACKS = (1, 10, 100)
"""Tracks of a class that count in a video, the surest first: for AR1, AR10, and all else."""
SIZE_EDGES = (0.0, 128.0**2, 256.0**2, 1e10)
"""Where small, medium and large objects part, in pixels; an edge belongs to both sides."""
_NONE = -1.0


@dataclass(frozen=True)
class VisFigures:
    """Figures as fractions of 1; NaN where there is no object to find.

    Attributes:
        ap: Mean over IoU .50:.05:.95 (101 recall points, 100 tracks a class and video).
        ap50: At IoU .5.
        ap75: At IoU .75.
        ap_small: AP of objects of mean size below the first edge.
        ap_medium: Between the edges.
        ap_large: Above the second edge.
        ar1: Recall of the surest track of a class and video, mean over IoU.
        ar10: Of the surest 10.
        ar100: Of the surest 100.
        ar_small: `ar100` of small objects.
        ar_medium: Of medium ones.
        ar_large: Of large ones.
        num_objects: Tracks to find.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar1: float
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float
    num_objects: int


@dataclass(frozen=True, eq=False)
class Cell:
    """The tracks of one class in one video, surest first, and what each of them took.

    The axes before the last are A size ranges (all, small, medium, large) and the IoU thresholds.

    Attributes:
        video: Number of the video.
        label: The class.
        scores: Array[D].
        matched: Array[A, 10, D] of bool.
        ignored: Array[A, 10, D] of bool: neither right nor wrong.
        num_objects: Array[A], objects to find.
    """

    video: int
    label: int
    scores: NDArray[np.float64]
    matched: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    num_objects: NDArray[np.int64]


def match_tracks(
    found: Mapping[str, Tracks],
    true: Mapping[str, Tracks],
    *,
    size_edges: Sequence[float] = SIZE_EDGES,
) -> list[Cell]:
    """Match the tracks of each class and video as COCO matches detections.

    By falling score each track takes, at each threshold, the free object of highest overlap that
    reaches it (of equals the last); where there is none, an ignored one: a crowd, which any number
    may take, or an object outside the size range. Of a crowd the overlap is the ordinary one.

    Args:
        found: Tracks by the video's name; a video that is missing has none.
        true: Labelled tracks by the video's name; those videos count.
        size_edges: The four ends of the three size ranges.
    """
    none = Tracks.make(np.zeros(0, dtype=np.int64), np.zeros(0), [])
    cells = []
    for number, (name, truth) in enumerate(true.items()):
        given = found.get(name, none)
        for label in np.union1d(truth.labels, given.labels).tolist():
            _, true_tracks = truth.of_class(label)
            rows = np.flatnonzero(given.labels == label)
            order = np.argsort(-given.scores[rows], kind="stable")[: MOST_TRACKS[-1]]
            cells.append(_match(number, label, given[rows[order]], true_tracks, size_edges))
    return cells


def vis_figures(cells: Sequence[Cell], num_classes: int) -> tuple[VisFigures, list[VisFigures]]:
    """The mean over classes that have an object, and the figures of each class.

    Args:
        cells: What `match_tracks` found.
        num_classes: Number of classes.
    """
    ranges = len(SIZE_EDGES)
    precision = np.full((num_classes, ranges, len(THRESHOLDS)), _NONE)
    recall = np.full((len(MOST_TRACKS), num_classes, ranges, len(THRESHOLDS)), _NONE)
    counts = np.zeros((num_classes, ranges), dtype=np.int64)
    for label in range(num_classes):
        class_cells = [cell for cell in cells if cell.label == label]
        if not class_cells:
            continue
        counts[label] = np.sum([cell.num_objects for cell in class_cells], axis=0)
        for most, into in zip(MOST_TRACKS, recall, strict=True):
            wanted = range(ranges) if most == MOST_TRACKS[-1] else (0,)
            for part in wanted:
                if counts[label, part]:
                    curve = _curve(class_cells, part, most, int(counts[label, part]))
                    precision[label, part], into[label, part] = curve
    every = np.arange(num_classes)
    return (
        _figures(precision, recall, counts, every),
        [_figures(precision, recall, counts, np.array([label])) for label in every],
    )


def _match(
    video: int, label: int, found: Tracks, true: Tracks, size_edges: Sequence[float]
) -> Cell:
    inside = np.array(
        [(0.0, size_edges[-1]), *pairwise(size_edges)],
        dtype=np.float64,
    )[:, :, None]
    ignored = true.crowd | (true.sizes < inside[:, 0]) | (true.sizes > inside[:, 1])
    outside = (found.sizes < inside[:, 0]) | (found.sizes > inside[:, 1])
    matched = np.zeros((len(inside), len(THRESHOLDS), len(found)), dtype=np.bool_)
    passed_over = matched.copy()
    if len(found) and len(true):
        overlaps = track_overlaps(found, true)
        free = np.ones((len(inside), len(THRESHOLDS), len(true)), dtype=np.bool_)
        lowest = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]
        counted, left_out = ~ignored[:, None], ignored[:, None]
        for row, overlap in enumerate(overlaps):
            possible = (overlap >= lowest) & (free | true.crowd)
            if not possible.any():
                continue
            taken, right = _last_best(overlap, possible & counted)
            spare, other = _last_best(overlap, possible & left_out)
            taken = np.where(right, taken, spare)
            some = right | other
            matched[..., row], passed_over[..., row] = some, other & ~right
            at = np.nonzero(some)
            free[(*at, taken[at])] = False
    passed_over |= ~matched & outside[:, None]
    return Cell(video, label, found.scores, matched, passed_over, (~ignored).sum(axis=1))


def _last_best(
    overlap: NDArray[np.float64], possible: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which possible object overlaps most, of equals the last; and whether there is one."""
    values = np.where(possible, overlap, -1.0)[..., ::-1]
    best = np.asarray(values.shape[-1] - 1 - values.argmax(axis=-1), dtype=np.int64)
    return best, np.asarray(possible.any(axis=-1))


def _curve(
    cells: Sequence[Cell], part: int, most: int, num_objects: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean precision over recall points, and highest recall, at each threshold."""
    scores = np.concatenate([cell.scores[:most] for cell in cells])
    order = np.argsort(-scores, kind="stable")
    matched, ignored = (
        np.concatenate([array[part, :, :most] for array in arrays], axis=1)[:, order]
        for arrays in ([cell.matched for cell in cells], [cell.ignored for cell in cells])
    )
    right = np.cumsum(matched & ~ignored, axis=1, dtype=np.float64)
    wrong = np.cumsum(~matched & ~ignored, axis=1, dtype=np.float64)
    means, highest = np.zeros(len(THRESHOLDS)), np.zeros(len(THRESHOLDS))
    if not len(scores):
        return means, highest
    recalls = right / num_objects
    precisions = right / (right + wrong + np.spacing(1))
    ceilings = np.maximum.accumulate(precisions[:, ::-1], axis=1)[:, ::-1]
    for row, (reached, ceiling) in enumerate(zip(recalls, ceilings, strict=True)):
        places = np.searchsorted(reached, RECALLS, side="left")
        means[row] = ceiling[places[places < len(ceiling)]].sum() / len(RECALLS)
    return means, recalls[:, -1]


def _figures(
    precision: NDArray[np.float64],
    recall: NDArray[np.float64],
    counts: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> VisFigures:
    def mean(values: NDArray[np.float64]) -> float:
        present = values[values > _NONE]
        return float(present.mean()) if len(present) else float("nan")

    precisions = precision[labels]
    most = recall[-1][labels]
    return VisFigures(
        mean(precisions[:, 0]),
        mean(precisions[:, 0, 0]),
        mean(precisions[:, 0, 5]),
        *(mean(precisions[:, part]) for part in (1, 2, 3)),
        mean(recall[0][labels][:, 0]),
        mean(recall[1][labels][:, 0]),
        *(mean(most[:, part]) for part in (0, 1, 2, 3)),
        int(counts[labels, 0].sum()),
    )
