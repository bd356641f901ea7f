"""The bootstrap of tracks: on the clips themselves it is the protocol's own figure."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest

from tests.evaluation.protocols.test_mot import frames
from tests.evaluation.protocols.test_youtube_vis import case, tracks
from trovid.evaluation.bootstrap import resample_weights
from trovid.evaluation.protocols.mot import tracking_counts, tracking_figures
from trovid.evaluation.protocols.youtube_vis import match_tracks, vis_figures
from trovid.evaluation.track_bootstrap import (
    bootstrap_counts,
    bootstrap_tracks,
    tracking_intervals,
    vis_intervals,
)


def cells(seed: int):
    videos = case(seed)
    found = {n: tracks(v["found"], v["labels"], v["scores"]) for n, v in videos.items()}
    true = {
        n: tracks(v["true"], v["true_labels"], np.ones(len(v["true"])), v["crowd"])
        for n, v in videos.items()
    }
    return match_tracks(found, true), list(videos)


@pytest.mark.parametrize("seed", range(6))
def test_ap_on_the_clips_is_the_protocol_s(seed):
    matches, names = cells(seed)
    result = bootstrap_tracks({"a": [matches]}, names, 3, resamples=20)
    expected = vis_figures(matches, 3)[0].ap
    assert result.seeds["a"][0] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    gain = bootstrap_tracks({"a": [matches, matches], "b": [matches]}, names, 3, resamples=20).gain(
        "a", "b"
    )
    assert (gain.value, gain.low, gain.high) == pytest.approx((0, 0, 0), nan_ok=True)


def test_resampled_ap_is_that_of_the_clips_drawn():
    matches, names = cells(3)
    result = bootstrap_tracks({"a": [matches]}, names, 3, resamples=8, seed=5)
    for weights, value in zip(
        resample_weights(len(names), resamples=8, seed=5), result.resampled["a"], strict=True
    ):
        drawn = [cell for cell in matches for _ in range(weights[cell.video])]
        assert value == pytest.approx(vis_figures(drawn, 3)[0].ap, abs=1e-9, nan_ok=True)


def test_switches_and_ratios_of_counts():
    counts = [tracking_counts(frames(seed)) for seed in range(5)]
    total = counts[0] + counts[1] + counts[2] + counts[3] + counts[4]
    switches = bootstrap_counts(
        {"a": [counts], "b": [counts[::-1]]}, lambda s: s["switches"], ["switches"], resamples=50
    )
    assert switches.seeds["a"][0] == total.switches
    assert switches.gain("a", "b").value == 0
    names = ["id_tp", "id_fp", "id_fn"]
    idf1 = bootstrap_counts(
        {"a": [counts]},
        lambda s: s["id_tp"] / (s["id_tp"] + 0.5 * (s["id_fp"] + s["id_fn"])),
        names,
        resamples=50,
    )
    assert idf1.figure("a").value == pytest.approx(tracking_figures(total).idf1)
    assert idf1.figure("a").low <= idf1.figure("a").value <= idf1.figure("a").high
    with pytest.raises(ValueError, match="of the same clips"):
        bootstrap_counts({"a": [counts], "b": [counts[1:]]}, lambda s: s["tp"], ["tp"])


def test_intervals_of_tracks_are_around_the_protocol_s_figures():
    matches, names = cells(3)
    figures = vis_figures(matches, 3)[0]
    found = vis_intervals(matches, names, 3, resamples=50)
    for name, interval in found.items():
        assert interval.value == pytest.approx(getattr(figures, name), abs=1e-12)
        assert interval.low <= interval.value <= interval.high


def test_intervals_of_identities_are_those_of_the_clips_drawn():
    counts = [tracking_counts(frames(seed)) for seed in range(5)]
    total = tracking_figures(reduce(add, counts))
    drawn = resample_weights(5, resamples=20)
    resampled = [
        tracking_figures(
            reduce(add, [c for c, n in zip(counts, row, strict=True) for _ in range(n)])
        )
        for row in drawn.tolist()
    ]
    found = tracking_intervals(counts, resamples=20)
    assert {*found} == {"hota", "mota", "idf1", "switches"}
    for name, interval in found.items():
        assert interval.value == pytest.approx(getattr(total, name), abs=1e-12)
        values = [getattr(figures, name) for figures in resampled]
        ends = np.quantile(values, [0.025, 0.975])
        assert (interval.low, interval.high) == pytest.approx(tuple(ends), abs=1e-12)
