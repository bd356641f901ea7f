"""The figures of the experiment on masks: AP of tracks, identities, gains and controls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.contract import Dataset
from trovid.evaluation import Bootstrap
from trovid.evaluation.protocols.mot import TrackingCounts, tracking_figures
from trovid.evaluation.protocols.youtube_vis import Cell, match_tracks, vis_figures
from trovid.evaluation.track_bootstrap import COUNTED_FIGURES, bootstrap_counts, bootstrap_tracks
from trovid.evaluation.tracking import both_tracks, frame_objects, sequence_counts
from trovid.experiments.clips import clips_file
from trovid.experiments.mask_runs import BEST_SCORE, FULL, LOWEST_SCORE, MODELS, SINGLE, MaskJob
from trovid.experiments.synthvid_jobs import CONTROLS
from trovid.runs.predictions import read_frames
from trovid.storage.hashes import sha256_of
from trovid.structures import Detections
from trovid.training.run import weights_file

FOREIGN, REPEATED = f"{FULL}, support from another clip", f"{FULL}, target frame repeated"
PUBLISHED_SINGLE, PUBLISHED_FULL = (f"{name}, published memory" for name in MODELS)
COMMANDED_SINGLE, COMMANDED_FULL = (f"{name}, handed out" for name in MODELS)
BEST_SINGLE, BEST_FULL = (f"{name}, best score" for name in MODELS)
GAINS = (
    (FULL, SINGLE),
    (BEST_FULL, BEST_SINGLE),
    (PUBLISHED_FULL, PUBLISHED_SINGLE),
    (SINGLE, PUBLISHED_SINGLE),
    (FULL, PUBLISHED_FULL),
    (COMMANDED_FULL, COMMANDED_SINGLE),
    (FOREIGN, SINGLE),
    (REPEATED, SINGLE),
)
AP_FIGURES = {
    "AP": "ap",
    "AP50": "ap50",
    "AP75": "ap75",
    "AR1": "ar1",
    "AR10": "ar10",
}
IDENTITY_FIGURES = {
    "switches": "switches",
    "IDF1": "idf1",
    "HOTA": "hota",
    "MOTA": "mota",
    "recall": "recall",
    "precision": "precision",
}
Predictions = dict[str, list[Detections]]


def mask_report(out: Path, jobs: Sequence[MaskJob], *, resamples: int = 1000) -> dict[str, Any]:
    """What the report's JSON holds; figures are fractions of 1, switches are counts.

    Args:
        out: Folder of the tracks and of the clips.
        jobs: The runs that were made.
        resamples: Of the paired bootstrap over clips.
    """
    seeds = sorted({job.seed for job in jobs})
    classes = [job for job in jobs if job.clips.setting == "classes"]
    twins = [job for job in jobs if job.clips.setting == "twins"]
    return {
        "seeds": seeds,
        "resamples": resamples,
        "lowest_score": LOWEST_SCORE,
        "best_score": BEST_SCORE,
        "weights": {
            f"{model} seed {seed}": sha256_of(weights_file(out, model, seed))
            for model in MODELS
            for seed in seeds
        },
        "classes": _masks(out, classes, resamples),
        "twins": _identities(out, twins, resamples),
    }


def _masks(out: Path, jobs: Sequence[MaskJob], resamples: int) -> dict[str, Any]:
    """AP of tracks: of whole shapes, of visible parts, and of masks frame by frame."""
    dataset = read_coco_vid(clips_file(out, jobs[0].clips))
    visible = dataset.with_visible_masks()
    number = len(dataset.class_names)
    cells: dict[str, list[list[Cell]]] = {}
    seen: dict[str, list[list[Cell]]] = {}
    figures: dict[str, list[dict[str, float]]] = {}
    names: list[str] = []
    for name, variant_jobs in _by_variant(jobs).items():
        for job in variant_jobs:
            found = _read(out, job)
            tracks, true = both_tracks(found, dataset)
            names = list(true)
            whole = match_tracks(tracks, true)
            parts = match_tracks(*both_tracks(found, visible))
            frames = vis_figures(match_tracks(*frame_objects(found, dataset)), number)[0]
            row = asdict(vis_figures(whole, number)[0])
            figures.setdefault(name, []).append(
                {
                    **{title: row[key] for title, key in AP_FIGURES.items()},
                    "visible AP": vis_figures(parts, number)[0].ap,
                    "frame AP": frames.ap,
                    "frame AP50": frames.ap50,
                }
            )
            cells.setdefault(name, []).append(whole)
            seen.setdefault(name, []).append(parts)
    results = {
        "AP": bootstrap_tracks(cells, names, number, resamples=resamples),
        "visible AP": bootstrap_tracks(seen, names, number, resamples=resamples),
    }
    return {
        **_provenance(dataset, jobs[0], names),
        "models": _models(figures, results),
        "gains": _gains(results),
    }


def _identities(out: Path, jobs: Sequence[MaskJob], resamples: int) -> dict[str, Any]:
    """Identity switches and what belongs to them, whatever the class."""
    dataset = read_coco_vid(clips_file(out, jobs[0].clips))
    counts: dict[str, list[list[TrackingCounts]]] = {}
    figures: dict[str, list[dict[str, float]]] = {}
    names: list[str] = []
    for name, variant_jobs in _by_variant(jobs).items():
        for job in variant_jobs:
            found = _read(out, job)
            by_clip = sequence_counts(found, dataset, masks=True, class_agnostic=True)[""]
            names = list(by_clip)
            row = asdict(tracking_figures(reduce(add, by_clip.values())))
            figures.setdefault(name, []).append(
                {title: row[key] for title, key in IDENTITY_FIGURES.items()}
            )
            counts.setdefault(name, []).append(list(by_clip.values()))
    wanted = {"resamples": resamples}
    results = {
        title: bootstrap_counts(counts, *COUNTED_FIGURES[name], **wanted)
        for title, name in (("switches", "switches"), ("IDF1", "idf1"))
    }
    return {
        **_provenance(dataset, jobs[0], names),
        "models": _models(figures, results),
        "gains": _gains(results),
    }


def _by_variant(jobs: Sequence[MaskJob]) -> dict[str, list[MaskJob]]:
    """The runs of each model, control and variant, by seed."""
    names = {"clip": "", **dict(zip(CONTROLS, (FOREIGN, REPEATED), strict=True))}
    found: dict[str, list[MaskJob]] = {}
    for job in sorted(jobs, key=lambda job: job.seed):
        name = names[job.source] or job.model
        found.setdefault(f"{name}, {job.variant}" if job.variant else name, []).append(job)
    return found


def _read(out: Path, job: MaskJob) -> Predictions:
    return read_frames(job.file(out))[1]


def _provenance(dataset: Dataset, job: MaskJob, names: Sequence[str]) -> dict[str, Any]:
    frames = sum(len(dataset.labelled_frames(n)[:: job.clips.every]) for n in names)
    return {
        "data": dataset.info,
        "clips": len(names),
        "first": job.clips.first,
        "every": job.clips.every,
        "frames": frames,
    }


def _models(
    figures: Mapping[str, Sequence[Mapping[str, float]]], results: Mapping[str, Bootstrap]
) -> dict[str, Any]:
    return {
        name: {title: _figure(name, title, rows, results.get(title)) for title in rows[0]}
        for name, rows in figures.items()
    }


def _figure(
    name: str, title: str, rows: Sequence[Mapping[str, float]], result: Bootstrap | None
) -> dict[str, Any]:
    values = np.array([row[title] for row in rows], dtype=np.float64)
    found: dict[str, Any] = {
        "mean": float(values.mean()),
        "spread": float(values.std(ddof=1)) if len(values) > 1 else None,
        "seeds": values.tolist(),
    }
    if result is not None:
        interval = result.figure(name)
        found |= {"low": interval.low, "high": interval.high}
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in found.items()}


def _gains(results: Mapping[str, Bootstrap]) -> list[dict[str, Any]]:
    present = next(iter(results.values())).seeds
    return [
        {
            "model": model,
            "over": over,
            **{title: asdict(result.gain(model, over)) for title, result in results.items()},
        }
        for model, over in GAINS
        if model in present and over in present
    ]
