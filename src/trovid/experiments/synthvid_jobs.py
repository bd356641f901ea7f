"""The long computing of the SynthVID experiment: trainings and scored boxes, resumable."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trovid.evaluation.dataset_runner import SupportSource, by_video, run_dataset
from trovid.experiments.pool import process_pool, stopping
from trovid.experiments.scoring import save_scores
from trovid.progress import bar
from trovid.recipes import load_recipe
from trovid.storage.hashes import sha256_of
from trovid.training.run import weights_file
from trovid.zoo.weights import read_card

SINGLE = "synthvid-single"
FULL = "synthvid-selsa-troi"
MODELS = (SINGLE, "synthvid-single-troi", "synthvid-selsa", FULL)
CONTROLS: tuple[SupportSource, ...] = ("other clip", "target")


@dataclass(frozen=True)
class ScoreJob:
    """One model run over one split.

    Attributes:
        model: Name of the recipe.
        seed: Seed of its training.
        split: "val" or "test".
        source: Where support frames come from.
        every: Distance of evaluated frames.
        videos: Number of clips.
    """

    model: str
    seed: int
    split: str
    source: SupportSource
    every: int
    videos: int

    def file(self, out: Path) -> Path:
        """Where the scored boxes are kept."""
        extra = "" if self.source == "clip" else f"-{self.source.replace(' ', '-')}"
        name = f"{self.model}-seed{self.seed}-{self.split}{extra}"
        return out / "scores" / f"{name}-{self.videos}x{self.every}.npz"


def score_jobs(seeds: Sequence[int], *, videos: int, val_videos: int, every: int) -> list[ScoreJob]:
    """All runs that the report needs: four models, two controls, and validation for the others."""
    jobs = []
    for seed in seeds:
        jobs += [ScoreJob(model, seed, "test", "clip", every, videos) for model in MODELS]
        jobs += [ScoreJob(FULL, seed, "test", source, every, videos) for source in CONTROLS]
        jobs += [
            ScoreJob(model, seed, "val", "clip", every, val_videos) for model in (SINGLE, FULL)
        ]
    return jobs


def run_trainings(
    out: Path,
    data: Path,
    seeds: Sequence[int],
    *,
    workers: int,
    device: str = "cpu",
    models: Sequence[str] = MODELS,
    backbone: Path | None = None,
) -> None:
    """Trains all models of all seeds, several processes at a time, each on one core or GPU.

    A weights file that exists is not made again; an interrupted training goes on. The start that
    several models share is trained before them. With `backbone` a training that starts from none
    begins its backbone with these weights.
    """
    missing = missing_models(out, seeds, models)
    turns = itertools.cycle(devices(device))
    with process_pool(workers) as pool:
        starts: dict[Future[None], tuple[int, list[str]]] = {}
        followers: list[Future[None]] = []
        for seed, names in missing.items():
            for start, group in _by_start(names).items():
                if start is None:
                    jobs = [(model, seed, out, data, next(turns), backbone) for model in group]
                    followers += [pool.submit(_train, *job) for job in jobs]
                else:
                    job = pool.submit(_train, start, seed, out, data, next(turns), backbone)
                    starts[job] = seed, group
        with bar("training", unit="models") as tick:
            total = len(followers) + sum(len(group) for _, group in starts.values())
            for start in as_completed(starts):
                start.result()
                seed, group = starts[start]
                jobs = [(model, seed, out, data, next(turns), None) for model in group]
                followers += [pool.submit(_train, *job) for job in jobs]
            for done, future in enumerate(as_completed(followers), 1):
                future.result()
                tick(done, total)


def _by_start(models: Sequence[str]) -> dict[str | None, list[str]]:
    """The models by the recipe that their training starts from."""
    found: dict[str | None, list[str]] = {}
    for model in models:
        found.setdefault(load_recipe(model).training.start, []).append(model)
    return found


def devices(device: str) -> list[str]:
    """The devices that processes take in turns: all GPUs where "cuda" is asked for."""
    if device != "cuda":
        return [device]
    import torch

    return [f"cuda:{number}" for number in range(max(torch.cuda.device_count(), 1))]


def missing_models(
    out: Path, seeds: Sequence[int], models: Sequence[str] = MODELS
) -> dict[int, list[str]]:
    """For each seed that lacks weights the models that lack them, the longest training first."""
    missing = {
        seed: [model for model in reversed(models) if not weights_file(out, model, seed).exists()]
        for seed in seeds
    }
    return {seed: models for seed, models in missing.items() if models}


def training_records(out: Path, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Model, seed, and what its weights' card and hash say of each training."""
    records = []
    for seed in seeds:
        for model in MODELS:
            file = weights_file(out, model, seed)
            provenance = read_card(file).provenance
            names = ("precision", "commit", "finished", "machine")
            card = {name: provenance.get(name, "unknown") for name in names}
            records.append({"model": model, "seed": seed, **card, "sha256": sha256_of(file)})
    return records


def run_scores(
    out: Path,
    data: Path,
    jobs: Sequence[ScoreJob],
    *,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Runs the models over the clips; a file of scored boxes that exists is not made again."""
    open_jobs = [job for job in jobs if not job.file(out).exists()]
    with process_pool(workers) as pool:
        futures = [pool.submit(_score, job, out, data) for job in open_jobs]
        for done, future in enumerate(futures, 1):
            future.result()
            if progress:
                progress(done, len(futures))


def _train(name: str, seed: int, out: Path, data: Path, device: str, backbone: Path | None) -> None:
    from trovid.training.run import train_recipe

    train_recipe(
        load_recipe(name),
        data=data,
        out=out,
        seed=seed,
        device=device,
        backbone=backbone,
        stopping=stopping,
    )


def _score(job: ScoreJob, out: Path, data: Path) -> None:
    from trovid.datasets.coco_vid import read_coco_vid
    from trovid.inference.loading import load

    found = run_dataset(
        load(weights_file(out, job.model, job.seed), device="cpu"),
        read_coco_vid(data / f"{job.split}.json"),
        every=job.every,
        videos=job.videos,
        support_source=job.source,
        selection="candidates",
    )
    head = {"model": job.model, "seed": job.seed, "split": job.split, "support": job.source}
    save_scores(job.file(out), by_video(found), head)
