"""An experiment from beginning to end: clips, trainings, rows, costs, report; resumable."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError
from trovid.experiments.clips import written_clips
from trovid.experiments.costs import measure_row, read_cost
from trovid.experiments.description import (
    IMAGENET_VID,
    SYNTHVID,
    Clips,
    Experiment,
    Family,
    Row,
)
from trovid.experiments.pool import process_pool
from trovid.experiments.row_runs import RowsJob, run_rows
from trovid.experiments.synthvid_data import synthvid_folder
from trovid.experiments.synthvid_jobs import (
    devices,
    missing_models,
    run_trainings,
)
from trovid.progress import bar
from trovid.recipes.synthvid import CLIPS
from trovid.training.run import weights_file
from trovid.zoo.weights import embedded_models, read_card

VIDEOS_AT_ONCE = 25
"""Clips of a job: what an interruption costs at most."""


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where an experiment's files lie and how it is computed.

    Attributes:
        out: Folder of clips, weights, scores and logs.
        data: ImageNet VID's folder, or None for SynthVID.
        seeds: Of the trainings.
        workers: Processes at a time.
        device: Where they run; "cuda": all GPUs in turns.
        every: Every how many labelled frames of `data` is evaluated.
        backbone: Weights that the backbones of `data`'s recipes begin with; None for random ones.
        trained: Whether weights are trained in `out`; else those that come with trovid are run.
    """

    out: Path
    data: Path | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    workers: int = 2
    device: str = "cpu"
    every: int = 1
    backbone: Path | None = None
    trained: bool = True

    @property
    def family(self) -> Family:
        """The recipes that rows stand for."""
        return SYNTHVID if self.data is None else IMAGENET_VID

    def weights(self, row: Row, seed: int) -> Path:
        """The weights of a row.

        Raises:
            TrovidError: If they should come with trovid and do not.
        """
        name = self.family.recipe(row).name
        if self.trained:
            return weights_file(self.out, name, seed)
        return with_trovid(name)

    def labels(self, clips: Clips) -> Path:
        """The data set that rows are run over, made where it is not there."""
        if self.data is not None:
            return self.data
        return written_clips(self.out, clips, workers=self.workers)

    def distance(self, clips: Clips) -> int:
        """Every how many labelled frames is evaluated."""
        return clips.every if self.data is None else self.every

    def scores(self, row: Row, seed: int, clips: Clips) -> Path:
        """The folder of what a row found; its parts are named by their first video."""
        place = clips.key if self.data is None else f"videos-every-{self.every}"
        return self.out / "scores" / place / self.weights(row, seed).stem / row.key

    def cost_file(self, row: Row) -> Path:
        """Where the cost of a row is kept."""
        name = self.weights(row, self.seeds[0]).stem
        return self.out / "scores" / "costs" / f"{name}-{row.key}.json"


def with_trovid(name: str) -> Path:
    """The weights that come with trovid for a recipe of SynthVID.

    Raises:
        TrovidError: If there are none.
    """
    found = embedded_models().get(name)
    if found is None:
        raise TrovidError(f"no weights of {name} come with trovid: leave out `no_training`")
    return found


def seed_with_trovid() -> int:
    """The seed that the weights of SynthVID's detectors that come with trovid were trained with."""
    return int(read_card(with_trovid("synthvid-single")).provenance["seed"])


def run_experiment(experiment: Experiment, place: Workplace) -> None:
    """Computes all that the report needs and that is not there yet."""
    train(experiment, place)
    score(experiment, place)
    measure(experiment, place)


def train(experiment: Experiment, place: Workplace) -> None:
    """Trains what is missing, all rows with the same data, schedule and seeds."""
    if not place.trained:
        return
    names = list(dict.fromkeys(place.family.recipe(row).name for row in experiment.rows))
    if not missing_models(place.out, place.seeds, names):
        return
    data = place.data
    if data is None:
        data = synthvid_folder(place.out, train=CLIPS, val=100)
    run_trainings(
        place.out,
        data,
        place.seeds,
        workers=place.workers,
        device=place.device,
        models=names,
        backbone=place.backbone,
    )


def score(experiment: Experiment, place: Workplace) -> None:
    """Runs the rows over their clips, a few clips at a time."""
    jobs = missing_jobs(experiment, place)
    if not jobs:
        return
    videos = sum(job.count * len(job.rows) for job in jobs)
    done = 0
    with process_pool(place.workers) as pool, bar(experiment.name, unit="clips") as tick:
        futures = {pool.submit(run_rows, job): job for job in jobs}
        tick(done, videos)
        for future in as_completed(futures):
            future.result()
            done += futures[future].count * len(futures[future].rows)
            tick(done, videos)


def missing_jobs(experiment: Experiment, place: Workplace) -> list[RowsJob]:
    """Jobs for what no row has found yet; rows of one model share a job."""
    by_model: dict[tuple[int, Path, Clips], dict[str, Row]] = {}
    for seed in place.seeds:
        for row in experiment.rows:
            model = seed, place.weights(row, seed), experiment.clips_of(row)
            by_model.setdefault(model, {}).setdefault(row.key, row)
    turns = cycle(devices(place.device))
    labels = {clips: place.labels(clips) for _, _, clips in by_model}
    numbers = {clips: len(read_dataset(data, split="val").videos) for clips, data in labels.items()}
    jobs = []
    for (seed, weights, clips), rows in by_model.items():
        data, number = labels[clips], numbers[clips]
        for first in range(0, number, VIDEOS_AT_ONCE):
            files = {
                row: place.scores(row, seed, clips) / f"{first:05d}.npz" for row in rows.values()
            }
            missing = {row: file for row, file in files.items() if not file.exists()}
            if missing:
                jobs.append(
                    RowsJob(
                        weights=weights,
                        data=data,
                        rows=tuple(missing),
                        files=tuple(missing.values()),
                        first=first,
                        count=min(VIDEOS_AT_ONCE, number - first),
                        every=place.distance(clips),
                        device=next(turns),
                    )
                )
    return jobs


def measure(experiment: Experiment, place: Workplace) -> None:
    """Measures what each row costs, one after the other, each in a process of its own."""
    rows = {place.cost_file(row): row for row in experiment.rows}
    recipe = place.family.recipe
    missing = [(file, row) for file, row in rows.items() if not read_cost(file, row, recipe(row))]
    if not missing:
        return
    with process_pool(1, fresh=True) as pool, bar("costs", unit="rows") as tick:
        tick(0, len(missing))
        for done, (file, row) in enumerate(missing, 1):
            weights, clips = place.weights(row, place.seeds[0]), experiment.clips_of(row)
            device = devices(place.device)[0]
            job: tuple[Any, ...] = (file, weights, row, place.labels(clips), device)
            pool.submit(measure_row, *job).result()
            tick(done, len(missing))


def parts(folder: Path, number: int) -> Sequence[Path]:
    """The files of what a row found in so many videos."""
    return [folder / f"{first:05d}.npz" for first in range(0, number, VIDEOS_AT_ONCE)]
