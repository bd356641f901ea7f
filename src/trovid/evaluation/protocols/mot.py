"""The tracking figures of the field: HOTA, CLEAR (MOTA, identity switches) and Identity (IDF1).

HOTA: Luiten et al., A Higher Order Metric for Evaluating Multi-Object Tracking, 2021. CLEAR:
Bernardin and Stiefelhagen, 2008. Identity: Ristani et al., 2016. The rules and the order of
operations are those of the public evaluation code TrackEval, with which tests hold this together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

ALPHAS = np.arange(0.05, 0.99, 0.05)
THRESHOLD = 0.5
MOSTLY_TRACKED, MOSTLY_LOST = 0.8, 0.2
_EPSILON = np.finfo(float).eps
_FORBIDDEN = 1e10


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """What is labelled and what was found in one frame.

    Attributes:
        true: Array[G], the identities of the labelled objects, each once.
        found: Array[D], the identities that were found, each once.
        overlaps: Array[G, D], IoU.
    """

    true: NDArray[np.int64]
    found: NDArray[np.int64]
    overlaps: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrackingCounts:
    """What a sequence adds to the figures; sums over sequences are made with `+`.

    Arrays have an entry for each of ALPHAS.

    Attributes:
        tp: Array, matches of HOTA.
        fn: Array, objects without match.
        fp: Array, detections without match.
        association: Array, AssA times `tp`.
        association_recall: Array, AssRe times `tp`.
        association_precision: Array, AssPr times `tp`.
        localisation: Array, sum of the matches' IoU.
        clear_tp: Matches of CLEAR.
        clear_fn: Objects without match.
        clear_fp: Detections without match.
        switches: Matches with another identity than the object's last one.
        clear_overlap: Sum of the matches' IoU.
        mostly_tracked: Objects matched in more than 0.8 of their frames.
        partly_tracked: Those matched in 0.2 to 0.8.
        mostly_lost: The other ones.
        fragments: How often a match of an object begins anew.
        id_tp: Detections of the identity that is assigned to the object for the whole sequence.
        id_fn: Objects that lack it.
        id_fp: Detections that are of no object so.
    """

    tp: NDArray[np.float64]
    fn: NDArray[np.float64]
    fp: NDArray[np.float64]
    association: NDArray[np.float64]
    association_recall: NDArray[np.float64]
    association_precision: NDArray[np.float64]
    localisation: NDArray[np.float64]
    clear_tp: int
    clear_fn: int
    clear_fp: int
    switches: int
    clear_overlap: float
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int
    fragments: int
    id_tp: int
    id_fn: int
    id_fp: int

    def __add__(self, other: TrackingCounts) -> TrackingCounts:
        names = [field.name for field in fields(self)]
        return TrackingCounts(**{n: getattr(self, n) + getattr(other, n) for n in names})


@dataclass(frozen=True)
class TrackingFigures:
    """Figures as fractions of 1; counts as counts.

    Attributes:
        hota: Mean over ALPHAS of sqrt(DetA AssA), as are the next seven.
        det_a: Detection accuracy.
        ass_a: Association accuracy.
        det_re: Detection recall.
        det_pr: Detection precision.
        ass_re: Association recall.
        ass_pr: Association precision.
        loc_a: Localisation accuracy, the mean IoU of matches; 1 without any.
        mota: 1 - (misses + false detections + switches) / objects.
        motp: Mean IoU of the matches.
        moda: `mota` without switches.
        recall: Share of objects matched.
        precision: Share of detections matched.
        switches: Identity switches.
        mostly_tracked: Objects matched in more than 0.8 of their frames.
        partly_tracked: In 0.2 to 0.8.
        mostly_lost: In less.
        fragments: How often tracking of an object is interrupted.
        idf1: F1 of identities.
        id_recall: Their recall.
        id_precision: Their precision.
        objects: Labelled objects, one in ten frames counting ten times.
        detections: Detections.
    """

    hota: float
    det_a: float
    ass_a: float
    det_re: float
    det_pr: float
    ass_re: float
    ass_pr: float
    loc_a: float
    mota: float
    motp: float
    moda: float
    recall: float
    precision: float
    switches: int
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int
    fragments: int
    idf1: float
    id_recall: float
    id_precision: float
    objects: int
    detections: int


def tracking_counts(frames: Sequence[TrackedFrame]) -> TrackingCounts:
    """The counts of one sequence; all its frames in order, empty ones too."""
    true_ids, true = _numbered([frame.true for frame in frames])
    found_ids, found = _numbered([frame.found for frame in frames])
    parts = [
        TrackedFrame(a, b, frame.overlaps) for a, b, frame in zip(true, found, frames, strict=True)
    ]
    return TrackingCounts(
        **_hota(parts, true_ids, found_ids),
        **_clear(parts, true_ids),
        **_identity(parts, true_ids, found_ids),
    )


def hota_by_alpha(counts: TrackingCounts) -> dict[str, NDArray[np.float64]]:
    """HOTA and its parts at each of ALPHAS, by the names of `TrackingFigures`."""
    matched = np.maximum(1, counts.tp)
    det_a = counts.tp / np.maximum(1, counts.tp + counts.fn + counts.fp)
    ass_a = counts.association / matched
    return {
        "hota": np.sqrt(det_a * ass_a),
        "det_a": det_a,
        "ass_a": ass_a,
        "det_re": counts.tp / np.maximum(1, counts.tp + counts.fn),
        "det_pr": counts.tp / np.maximum(1, counts.tp + counts.fp),
        "ass_re": counts.association_recall / matched,
        "ass_pr": counts.association_precision / matched,
        "loc_a": np.where(counts.tp > 0, counts.localisation / matched, 1.0),
    }


def tracking_figures(counts: TrackingCounts) -> TrackingFigures:
    """The figures of a sequence, or of several whose counts were summed."""
    objects, detections = counts.clear_tp + counts.clear_fn, counts.clear_tp + counts.clear_fp
    id_objects, id_detections = counts.id_tp + counts.id_fn, counts.id_tp + counts.id_fp
    right, wrong = counts.clear_tp, counts.clear_fp
    return TrackingFigures(
        **{name: float(values.mean()) for name, values in hota_by_alpha(counts).items()},
        mota=(right - wrong - counts.switches) / max(1, objects),
        motp=counts.clear_overlap / max(1, right),
        moda=(right - wrong) / max(1, objects),
        recall=right / max(1, objects),
        precision=right / max(1, detections),
        switches=counts.switches,
        mostly_tracked=counts.mostly_tracked,
        partly_tracked=counts.partly_tracked,
        mostly_lost=counts.mostly_lost,
        fragments=counts.fragments,
        idf1=counts.id_tp / max(1, counts.id_tp + 0.5 * (counts.id_fp + counts.id_fn)),
        id_recall=counts.id_tp / max(1, id_objects),
        id_precision=counts.id_tp / max(1, id_detections),
        objects=objects,
        detections=detections,
    )


def _numbered(frames: Sequence[NDArray[np.int64]]) -> tuple[int, list[NDArray[np.int64]]]:
    """How many identities there are, and each frame's as numbers from 0."""
    if not frames:
        return 0, []
    ids, numbers = np.unique(np.concatenate(frames), return_inverse=True)
    return len(ids), np.split(numbers, np.cumsum([len(frame) for frame in frames])[:-1])


def _hota(parts: Sequence[TrackedFrame], true_ids: int, found_ids: int) -> dict[str, Any]:
    alignment = np.zeros((true_ids, found_ids))
    true_count, found_count = np.zeros((true_ids, 1)), np.zeros((1, found_ids))
    for part in parts:
        overlaps = part.overlaps
        union = overlaps.sum(0)[None] + overlaps.sum(1)[:, None] - overlaps
        share = np.divide(overlaps, union, out=np.zeros_like(overlaps), where=union > _EPSILON)
        alignment[part.true[:, None], part.found] += share
        true_count[part.true] += 1
        found_count[0, part.found] += 1
    alignment /= np.maximum(true_count + found_count - alignment, _EPSILON)

    places, overlaps = [], []
    objects = detections = 0
    for part in parts:
        wishes = alignment[part.true[:, None], part.found] * part.overlaps
        rows, columns = linear_sum_assignment(-wishes)
        places.append(part.true[rows] * found_ids + part.found[columns])
        overlaps.append(part.overlaps[rows, columns])
        objects, detections = objects + len(part.true), detections + len(part.found)
    sums = np.zeros((5, len(ALPHAS)))
    if places:
        every, values = np.concatenate(places), np.concatenate(overlaps)
        for column, alpha in enumerate(ALPHAS):
            pairs = values >= alpha - _EPSILON
            pair, times = np.unique(every[pairs], return_counts=True)
            true, found = np.divmod(pair, max(1, found_ids))
            of_true, of_found = true_count[true, 0], found_count[0, found]
            sums[:, column] = (
                pairs.sum(),
                (times * times / np.maximum(1, of_true + of_found - times)).sum(),
                (times * times / np.maximum(1, of_true)).sum(),
                (times * times / np.maximum(1, of_found)).sum(),
                values[pairs].sum(),
            )
    return {
        "tp": sums[0],
        "fn": objects - sums[0],
        "fp": detections - sums[0],
        "association": sums[1],
        "association_recall": sums[2],
        "association_precision": sums[3],
        "localisation": sums[4],
    }


def _clear(parts: Sequence[TrackedFrame], true_ids: int) -> dict[str, Any]:
    last, before = np.full(true_ids, -1), np.full(true_ids, -1)
    present, matched, begun = (np.zeros(true_ids, dtype=np.int64) for _ in range(3))
    tp = fn = fp = switches = 0
    overlap = 0.0
    for part in parts:
        if not len(part.true) or not len(part.found):
            fn, fp = fn + len(part.true), fp + len(part.found)
            present[part.true] += 1
            continue
        kept = part.found == before[part.true][:, None]
        wishes = np.where(part.overlaps >= THRESHOLD - _EPSILON, 1000 * kept + part.overlaps, 0.0)
        rows, columns = linear_sum_assignment(-wishes)
        real = wishes[rows, columns] > _EPSILON
        rows, columns = rows[real], columns[real]
        objects, tracks = part.true[rows], part.found[columns]
        switches += int(((last[objects] >= 0) & (last[objects] != tracks)).sum())
        present[part.true] += 1
        matched[objects] += 1
        begun[objects] += before[objects] < 0
        last[objects] = tracks
        before[:] = -1
        before[objects] = tracks
        tp, fn, fp = (
            tp + len(rows),
            fn + len(part.true) - len(rows),
            fp + len(part.found) - len(rows),
        )
        overlap += float(part.overlaps[rows, columns].sum())
    share = matched[present > 0] / present[present > 0]
    tracked = int((share > MOSTLY_TRACKED).sum())
    partly = int((share >= MOSTLY_LOST).sum()) - tracked
    return {
        "clear_tp": tp,
        "clear_fn": fn,
        "clear_fp": fp,
        "switches": switches,
        "clear_overlap": overlap,
        "mostly_tracked": tracked,
        "partly_tracked": partly,
        "mostly_lost": true_ids - tracked - partly,
        "fragments": int((begun[begun > 0] - 1).sum()),
    }


def _identity(parts: Sequence[TrackedFrame], true_ids: int, found_ids: int) -> dict[str, Any]:
    shared = np.zeros((true_ids, found_ids))
    true_count, found_count = np.zeros(true_ids), np.zeros(found_ids)
    for part in parts:
        rows, columns = np.nonzero(part.overlaps >= THRESHOLD)
        shared[part.true[rows], part.found[columns]] += 1
        true_count[part.true] += 1
        found_count[part.found] += 1
    side = true_ids + found_ids
    wrong, missed = np.zeros((side, side)), np.zeros((side, side))
    wrong[true_ids:, :found_ids] = missed[:true_ids, found_ids:] = _FORBIDDEN
    missed[:true_ids, :found_ids] = true_count[:, None] - shared
    wrong[:true_ids, :found_ids] = found_count - shared
    one, other = np.arange(true_ids), np.arange(found_ids)
    missed[one, found_ids + one] = true_count
    wrong[true_ids + other, other] = found_count
    rows, columns = linear_sum_assignment(wrong + missed)
    id_fn, id_fp = int(missed[rows, columns].sum()), int(wrong[rows, columns].sum())
    return {"id_tp": int(true_count.sum()) - id_fn, "id_fn": id_fn, "id_fp": id_fp}
