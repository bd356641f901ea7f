"""The figures of the SynthVID experiment: four models, gains, controls, all from scored boxes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.contract import Dataset
from trovid.detectors.candidates import Candidates
from trovid.evaluation import (
    Bootstrap,
    TrackSettings,
    apply_class_prior,
    average_along_tracks,
    bootstrap,
    choose_exponent,
    choose_track_settings,
    match_clips,
    object_groups,
    pool_frames,
)
from trovid.evaluation.pool import Pool
from trovid.experiments.scoring import ScoredVideos, load_scores, to_detections
from trovid.experiments.synthvid_jobs import CONTROLS, FULL, MODELS, SINGLE, ScoreJob

PRIOR = f"{SINGLE} + class prior"
TRACKS = f"{SINGLE} + tracks"
FULL_TRACKS = f"{FULL} + tracks"
FOREIGN, REPEATED = f"{FULL}, support from another clip", f"{FULL}, target frame repeated"
GAINS = (
    ("synthvid-single-troi", SINGLE),
    ("synthvid-selsa", SINGLE),
    (FULL, SINGLE),
    (FULL, "synthvid-selsa"),
    (FULL, "synthvid-single-troi"),
    (FOREIGN, SINGLE),
    (REPEATED, SINGLE),
    (PRIOR, SINGLE),
    (FULL, PRIOR),
    (TRACKS, SINGLE),
    (FULL, TRACKS),
    (FULL_TRACKS, FULL),
    (FULL_TRACKS, TRACKS),
)


def synthvid_report(
    out: Path, data: Path, jobs: Sequence[ScoreJob], *, resamples: int = 1000
) -> dict[str, Any]:
    """AP50 of every model and control with its spread, and every gain with its interval.

    Args:
        out: Folder of the scored boxes.
        data: Folder of the labels.
        jobs: The runs that were made.
        resamples: Of the paired bootstrap over clips.

    Returns:
        What the report's JSON holds; figures are fractions of 1.
    """
    test = read_coco_vid(data / "test.json")
    val = read_coco_vid(data / "val.json")
    seeds = sorted({job.seed for job in jobs})

    def scores(model: str, seed: int, split: str = "test", source: str = "clip") -> ScoredVideos:
        job = next(
            job
            for job in jobs
            if (job.model, job.seed, job.split, job.source) == (model, seed, split, source)
        )
        return load_scores(job.file(out), val if split == "val" else test)[0]

    exponents = {seed: _exponent(scores(SINGLE, seed, "val"), val) for seed in seeds}
    tracking = {
        model: {seed: _track_settings(scores(model, seed, "val"), val) for seed in seeds}
        for model in (SINGLE, FULL)
    }

    def tracked(model: str, seed: int) -> ScoredVideos:
        settings = tracking[model][seed]
        return _each_clip(scores(model, seed), lambda f: average_along_tracks(f, settings))

    variants: dict[str, Callable[[int], ScoredVideos]] = {
        **{model: lambda seed, m=model: scores(m, seed) for model in MODELS},
        **{
            name: lambda seed, s=source: scores(FULL, seed, source=s)
            for name, source in zip((FOREIGN, REPEATED), CONTROLS, strict=True)
        },
        PRIOR: lambda seed: _each_clip(
            scores(SINGLE, seed), lambda f: apply_class_prior(f, exponent=exponents[seed])
        ),
        TRACKS: lambda seed: tracked(SINGLE, seed),
        FULL_TRACKS: lambda seed: tracked(FULL, seed),
    }
    pools = {
        name: [pool_frames(to_detections(make(seed)), test) for seed in seeds]
        for name, make in variants.items()
    }
    some_pool = pools[SINGLE][0]
    groups = {"all": some_pool.objects.counted, **object_groups(some_pool)}
    results = {name: _bootstrap(pools, active, resamples) for name, active in groups.items()}
    return {
        "data": test.info,
        "clips": len(some_pool.clip_names),
        "frames": len(some_pool.clips),
        "objects": {name: int(active.sum()) for name, active in groups.items()},
        "seeds": seeds,
        "resamples": resamples,
        "prior_exponents": exponents,
        "track_settings": {
            model: {seed: dataclasses.asdict(settings) for seed, settings in by_seed.items()}
            for model, by_seed in tracking.items()
        },
        "models": {
            name: {group: _figure(results[group], name) for group in groups} for name in variants
        },
        "gains": [
            {
                "model": model,
                "over": over,
                **{group: _gain(results[group], model, over) for group in groups},
            }
            for model, over in GAINS
        ],
    }


def _exponent(videos: ScoredVideos, dataset: Dataset) -> float:
    return choose_exponent(videos, _quality(dataset))[0]


def _track_settings(videos: ScoredVideos, dataset: Dataset) -> TrackSettings:
    return choose_track_settings(videos, _quality(dataset))


def _quality(dataset: Dataset) -> Callable[[ScoredVideos], float]:
    """AP50 of candidates."""
    return lambda videos: _ap50(pool_frames(to_detections(videos), dataset))


def _ap50(pool: Pool) -> float:
    return float(bootstrap({"": [match_clips(pool)]}, resamples=1).seeds[""][0])


def _each_clip(
    videos: ScoredVideos, change: Callable[[Sequence[Candidates]], list[Candidates]]
) -> ScoredVideos:
    return {name: change(frames) for name, frames in videos.items()}


def _bootstrap(
    pools: Mapping[str, Sequence[Pool]], active: NDArray[np.bool_], resamples: int
) -> Bootstrap:
    matches = {
        name: [match_clips(pool, active=active) for pool in seeds] for name, seeds in pools.items()
    }
    return bootstrap(matches, resamples=resamples)


def _figure(result: Bootstrap, name: str) -> dict[str, Any]:
    seeds = result.seeds[name]
    spread = float(seeds.std(ddof=1)) if len(seeds) > 1 else math.nan
    return {
        "mean": float(seeds.mean()),
        "spread": None if math.isnan(spread) else spread,
        "seeds": seeds.tolist(),
    }


def _gain(result: Bootstrap, model: str, over: str) -> dict[str, float]:
    gain = result.gain(model, over)
    return {"value": gain.value, "low": gain.low, "high": gain.high}
