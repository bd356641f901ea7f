"""A whole experiment, small: clips, weights nobody trained, candidates made from the labels."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from trovid.cli.main import main
from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid import write_split
from trovid.detectors.building import build_detector
from trovid.detectors.candidates import Candidates
from trovid.experiments.scoring import save_scores
from trovid.experiments.synthvid_jobs import FULL, MODELS, SINGLE, ScoreJob, score_jobs
from trovid.recipes import load_recipe
from trovid.training.run import weights_file
from trovid.zoo.weights import save_weights

PROVENANCE = {
    "finished": "2026-01-01",
    "minutes": 1.5,
    "machine": "a machine",
    "torch": "2.6.0",
    "data": {"name": "SynthVID", "version": "2", "split": "train"},
}


class Experiment(NamedTuple):
    """What `trovid experiment synthvid` finds done already."""

    out: Path
    data: Path
    jobs: list[ScoreJob]


@pytest.fixture(scope="session")
def experiment(tmp_path_factory) -> Experiment:
    """Two seeds, three test clips from 300 on: perfect models, SINGLE blind to what is not clean.

    Seed 0 was computed in float32, seed 1 in bfloat16 and its FULL at another commit.
    """
    out = tmp_path_factory.mktemp("out")
    data = out / "data"
    for split, count, first in (("train", 1, 0), ("val", 2, 0), ("test", 3, 300)):
        write_split(data, split=split, videos=count, first=first)
    for model in MODELS:
        recipe = load_recipe(model)
        detector = build_detector(recipe)
        for seed, precision in enumerate(("float32", "bfloat16")):
            commit = "def" if seed and model == FULL else "abc"
            provenance = {**PROVENANCE, "seed": seed, "precision": precision, "commit": commit}
            save_weights(weights_file(out, model, seed), detector, recipe, provenance=provenance)
    jobs = score_jobs([0, 1], videos=3, val_videos=40, every=4)
    labels = {split: read_coco_vid(data / f"{split}.json") for split in ("val", "test")}
    for job in jobs:
        dataset = labels[job.split]
        blind = job.model == SINGLE or job.source != "clip"
        videos = {
            video.name: [
                candidates(truth, blind=blind)
                for truth in dataset.ground_truth(video.name)[:: job.every]
            ]
            for video in dataset.videos
        }
        save_scores(job.file(out), videos, {"model": job.model})
    return Experiment(out, data, jobs)


def candidates(truth, *, blind: bool) -> Candidates:
    """The truth with score .9; where `blind`, deteriorated objects are called the next class."""
    classes = len(truth.class_names)
    labels = truth.labels.clone()
    for i, kind in enumerate(truth.attributes["deterioration"]):
        if blind and kind != "none":
            labels[i] = (labels[i] + 1) % classes
    scores = torch.full((len(labels), classes), 0.001)
    scores[torch.arange(len(labels)), labels] = 0.9
    return Candidates(
        truth.boxes[:, None],
        scores,
        truth.class_names,
        truth.frame_index,
        image_size=truth.image_size,
    )


@pytest.fixture(scope="session")
def printed(experiment) -> dict[str, Any]:
    """What the command prints as JSON."""
    words = ["--seeds", "2", "--clips", "3", "--every", "4", "--resamples", "50", "--json"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as exited:
        main(["experiment", "synthvid", "--out", str(experiment.out), *words])
    assert not exited.value.code
    return json.loads(said.getvalue())


@pytest.fixture(scope="session")
def result(printed) -> dict[str, Any]:
    """The report."""
    return {name: value for name, value in printed.items() if name not in ("report", "embedded")}
