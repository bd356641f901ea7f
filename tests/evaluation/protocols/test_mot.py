"""HOTA, CLEAR and Identity against TrackEval and against the figures of the original code."""

from __future__ import annotations

import gzip
import json
from functools import reduce
from operator import add

import numpy as np
import pytest

from tests import shared
from trovid.evaluation.protocols.mot import (
    TrackedFrame,
    hota_by_alpha,
    tracking_counts,
    tracking_figures,
)

PARITY = shared.SHARED / "parity" / "evaluation" / "tracking_seed1.json.gz"
HOTA = {
    "HOTA": "hota",
    "DetA": "det_a",
    "AssA": "ass_a",
    "DetRe": "det_re",
    "DetPr": "det_pr",
    "AssRe": "ass_re",
    "AssPr": "ass_pr",
    "LocA": "loc_a",
}
OTHERS = {
    "MOTA": "mota",
    "MOTP": "motp",
    "MODA": "moda",
    "CLR_Re": "recall",
    "CLR_Pr": "precision",
    "IDSW": "switches",
    "MT": "mostly_tracked",
    "PT": "partly_tracked",
    "ML": "mostly_lost",
    "Frag": "fragments",
    "IDF1": "idf1",
    "IDR": "id_recall",
    "IDP": "id_precision",
}


def frames(seed: int) -> list[TrackedFrame]:
    """Some objects, and detections that follow them with mistakes; empty frames on both sides."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(int(rng.integers(1, 25))):
        true = rng.permutation(7)[: rng.integers(0, 6)] + 40
        found = rng.permutation(9)[: rng.integers(0, 7)] * 3
        overlaps = rng.random((len(true), len(found))) ** 2
        same = (true[:, None] - 40) == found // 3
        overlaps[same & (rng.random(same.shape) < 0.8)] = rng.uniform(0.4, 1)
        parts.append(TrackedFrame(true, found, overlaps))
    return parts


def by_trackeval(parts: list[TrackedFrame]) -> dict:
    trackeval = pytest.importorskip("trackeval")
    true_ids = sorted({i for part in parts for i in part.true.tolist()})
    found_ids = sorted({i for part in parts for i in part.found.tolist()})
    data = {
        "num_timesteps": len(parts),
        "num_gt_ids": len(true_ids),
        "num_tracker_ids": len(found_ids),
        "num_gt_dets": sum(len(part.true) for part in parts),
        "num_tracker_dets": sum(len(part.found) for part in parts),
        "gt_ids": [np.searchsorted(true_ids, part.true) for part in parts],
        "tracker_ids": [np.searchsorted(found_ids, part.found) for part in parts],
        "similarity_scores": [part.overlaps for part in parts],
    }
    quiet = {"PRINT_CONFIG": False}
    metrics = (
        trackeval.metrics.HOTA(),
        trackeval.metrics.CLEAR(quiet),
        trackeval.metrics.Identity(quiet),
    )
    return {name: value for metric in metrics for name, value in metric.eval_sequence(data).items()}


@pytest.mark.parametrize("seed", range(20))
def test_equals_trackeval(seed):
    parts = frames(seed)
    expected = by_trackeval(parts)
    counts = tracking_counts(parts)
    by_alpha, figures = hota_by_alpha(counts), tracking_figures(counts)
    for theirs, ours in HOTA.items():
        np.testing.assert_allclose(by_alpha[ours], expected[theirs], rtol=0, atol=1e-9)
    for theirs, ours in OTHERS.items():
        assert getattr(figures, ours) == pytest.approx(expected[theirs], abs=1e-9), theirs


def test_identities_may_be_any_integers_in_any_order():
    parts = frames(3)
    rng = np.random.default_rng(0)
    names = rng.permutation(10**6)
    mixed = []
    for part in parts:
        a, b = rng.permutation(len(part.true)), rng.permutation(len(part.found))
        overlaps = part.overlaps[a][:, b]
        mixed.append(TrackedFrame(names[part.true[a]], names[part.found[b]] - 500, overlaps))
    before, after = (tracking_figures(tracking_counts(tracked)) for tracked in (parts, mixed))
    for name, value in vars(before).items():
        assert getattr(after, name) == pytest.approx(value, abs=1e-12), name


def frame(true, found, pairs) -> TrackedFrame:
    overlaps = np.zeros((len(true), len(found)))
    for row, column in pairs:
        overlaps[row, column] = 0.9
    return TrackedFrame(np.array(true, dtype=int), np.array(found, dtype=int), overlaps)


def test_switches_by_hand():
    """Two objects cross in frame 2 and exchange identities; one is found anew in frame 4."""
    both = [(0, 0), (1, 1)]
    parts = [frame([1, 2], [10, 20], both)] * 2
    parts += [frame([1, 2], [], []), frame([1, 2], [20, 10], both), frame([1, 2], [20, 30], both)]
    figures = tracking_figures(tracking_counts(parts))
    assert figures.switches == 3
    assert (figures.objects, figures.detections) == (10, 8)
    assert figures.recall == 0.8
    assert figures.mota == pytest.approx((8 - 3) / 10)
    # object 1: two frames of 10, two of 20; object 2: two frames of 20, one each of 10 and 30
    assert figures.idf1 == pytest.approx(2 * 4 / (10 + 8))


def test_nothing_found_and_nothing_to_find():
    missed = tracking_figures(tracking_counts([frame([1, 2], [], []), frame([1], [], [])]))
    assert (missed.hota, missed.mota, missed.idf1, missed.loc_a) == (0, 0, 0, 1)
    assert (missed.objects, missed.mostly_lost) == (3, 2)
    wrong = tracking_figures(tracking_counts([frame([], [5], []), frame([], [], [])]))
    assert (wrong.hota, wrong.mota, wrong.detections) == (0, -1, 1)
    nothing = tracking_figures(tracking_counts([]))
    assert (nothing.hota, nothing.objects) == (0, 0)


@pytest.mark.skipif(not PARITY.exists(), reason="the original code's figures are not at hand")
def test_equals_the_original_code():
    data = json.loads(gzip.decompress(PARITY.read_bytes()))
    counts = {}
    for sequence in data["sequences"]:
        parts = []
        for index in range(1, sequence["length"] + 1):
            true = [row for row in sequence["gt"] if row[0] == index and row[6] != 0]
            found = [row for row in sequence["tracker"] if row[0] == index]
            boxes = [np.array([row[2:6] for row in rows]).reshape(-1, 4) for rows in (true, found)]
            ids = [np.array([row[1] for row in rows], dtype=int) for rows in (true, found)]
            parts.append(TrackedFrame(*ids, overlaps(*boxes)))
        counts[sequence["name"]] = tracking_counts(parts)
    counts["COMBINED_SEQ"] = reduce(add, counts.values())
    for name, sequence_counts in counts.items():
        expected = data["figures"]["plain"][name]
        by_alpha, figures = hota_by_alpha(sequence_counts), tracking_figures(sequence_counts)
        for theirs, ours in HOTA.items():
            np.testing.assert_allclose(by_alpha[ours], expected["HOTA"][theirs], rtol=0, atol=1e-9)
            mean = expected["HOTA"]["mean"][theirs]
            assert getattr(figures, ours) == pytest.approx(mean, abs=1e-9)
        for theirs, ours in OTHERS.items():
            value = {**expected["CLEAR"], **expected["Identity"]}[theirs]
            assert getattr(figures, ours) == pytest.approx(value, abs=1e-9), (name, theirs)


def overlaps(a, b):
    """IoU of boxes x, y, width, height."""
    ends = np.minimum((a[:, :2] + a[:, 2:])[:, None], b[:, :2] + b[:, 2:])
    shared = np.maximum(ends - np.maximum(a[:, None, :2], b[:, :2]), 0).prod(2)
    return shared / (a[:, 2:].prod(1)[:, None] + b[:, 2:].prod(1) - shared)
