"""What `trovid experiment` runs, by name of the experiment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from trovid.experiments.running import Workplace

Name = Literal[
    "synthvid",
    "synthvid-masks",
    "table8",
    "table1",
    "table2",
    "training-free",
    "fig5",
    "table5",
    "table3",
    "table4",
    "table6",
    "strength",
    "unseen",
    "selsa",
    "correspondence",
    "everyday",
    "everyday-limits",
    "premise",
    "recognition",
    "blur",
    "all",
]
DAVIS_ALONE = ("premise", "recognition", "blur")
EVERYDAY = ("everyday", "everyday-limits")
ORDER = (
    *(name for name in get_args(Name)[3:-1] if name not in (*EVERYDAY, *DAVIS_ALONE)),
    "synthvid-masks",
)
"""What "all" makes, in this order."""
OTHER_NAMES: dict[str, Name] = {"table8": "synthvid-masks"}
SYNTHVID_ALONE = {
    "synthvid": "its detectors and their controls are made for these clips",
    "synthvid-masks": "other videos here have neither its masks nor its objects that hide another",
    "training-free": "its setting is chosen by what clean objects lose, and only there it is known "
    "which are clean",
    "strength": "only there the strength of deteriorations can be set",
    "unseen": "only there backgrounds and sizes can be set",
    "selsa": "only there backgrounds, strengths and twins can be set",
    "correspondence": "it needs masks, and the strength of each object's deterioration",
}
"""Experiments without --data, and why."""
NO_TRAINING = (
    "table5",
    "fig5",
    "training-free",
    "strength",
    "unseen",
    "selsa",
    "correspondence",
)
"""Those whose rows all come with trovid."""


Result = tuple[dict[str, Any], str]
"""What is printed as JSON, and the page."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for; every argument is described by the command.

    Attributes:
        seeds: The seeds themselves.
        folder: Of the report.
    """

    name: str
    data: Path | None
    stills: Path | None
    clip: Path | None
    model: Sequence[str]
    backbone: str | None
    out: Path
    seeds: range
    clips: int | None
    first_clip: int | None
    every: int | None
    workers: int
    device: str
    resamples: int
    folder: Path
    embed: bool
    no_training: bool = False
    pictures: Path | None = None

    @property
    def davis(self) -> Path:
        """`data`, where the command made sure of it."""
        assert self.data is not None
        return self.data


def names_of(wanted: Wanted) -> list[str]:
    """The experiments that the name stands for, in their order."""
    if wanted.name != "all":
        return [wanted.name]
    if wanted.no_training:
        return [name for name in ORDER if name in NO_TRAINING]
    return [name for name in ORDER if wanted.data is None or name not in SYNTHVID_ALONE]


def result_of(name: str, wanted: Wanted) -> Result:
    """Record and page of one experiment."""
    return RUNS[name](wanted) if name in RUNS else _table(name, wanted)


def _place(wanted: Wanted) -> Workplace:
    from trovid.experiments.running import Workplace, seed_with_trovid
    from trovid.zoo.published import backbone_file

    return Workplace(
        out=wanted.out,
        data=wanted.data,
        seeds=(seed_with_trovid(),) if wanted.no_training else tuple(wanted.seeds),
        workers=wanted.workers,
        device=wanted.device,
        every=wanted.every or 1,
        backbone=None if wanted.backbone is None else backbone_file(wanted.backbone),
        trained=not wanted.no_training,
    )


def _table(name: str, wanted: Wanted) -> Result:
    from trovid.experiments.pages import write_experiment
    from trovid.experiments.results import experiment_result
    from trovid.experiments.running import run_experiment
    from trovid.experiments.tables import EXPERIMENTS
    from trovid.experiments.training_free import choose

    began, place = time.monotonic(), _place(wanted)
    clips, resamples, folder = wanted.clips, wanted.resamples, wanted.folder
    if name == "correspondence":
        from trovid.experiments.correspondence_report import run_correspondence

        return run_correspondence(place, clips=clips, resamples=resamples, folder=folder)
    if name == "training-free":
        experiment = choose(place, clips=clips, resamples=resamples, folder=folder)
    else:
        experiment = EXPERIMENTS[name]()
    if clips is not None:
        experiment = experiment.with_clips(clips)
    run_experiment(experiment, place)
    result = experiment_result(experiment, place, resamples=resamples, began=began)
    page = write_experiment(result, folder)
    return {"report": str(folder), **result}, page


def _premise(wanted: Wanted) -> Result:
    from trovid.experiments.premise import run_premise

    return run_premise(wanted.davis, folder=wanted.folder, resamples=wanted.resamples)


def _recognition(wanted: Wanted) -> Result:
    from trovid.experiments.recognition_report import run_recognition

    return run_recognition(
        wanted.davis,
        stills=wanted.stills,
        out=wanted.out,
        folder=wanted.folder,
        seeds=wanted.seeds,
        resamples=wanted.resamples,
        workers=wanted.workers,
    )


def _blur(wanted: Wanted) -> Result:
    from trovid.experiments.blur import MODELS, run_blur

    return run_blur(
        wanted.davis,
        models=wanted.model or MODELS,
        folder=wanted.folder,
        resamples=wanted.resamples,
        device=wanted.device,
    )


def _everyday(wanted: Wanted) -> Result:
    from trovid.experiments.everyday_jobs import EverydayPlace
    from trovid.experiments.everyday_run import run_everyday
    from trovid.zoo.published import backbone_file

    place = EverydayPlace(
        out=wanted.out,
        davis=wanted.data or Path(),
        seed=wanted.seeds[0],
        workers=wanted.workers,
        clip=wanted.clip,
    )
    record, page = run_everyday(
        place,
        stills=wanted.stills,
        davis=wanted.data is not None,
        backbone=None if wanted.backbone is None else backbone_file(wanted.backbone),
        resamples=wanted.resamples,
        folder=wanted.folder,
        embed=wanted.embed,
    )
    return {"report": str(wanted.folder), "embedded": [], **record}, page


def _everyday_limits(wanted: Wanted) -> Result:
    from trovid.experiments.everyday_jobs import EverydayPlace
    from trovid.experiments.everyday_limits import run_limits

    record, page = run_limits(
        EverydayPlace(out=wanted.out, davis=wanted.data or Path(), seed=wanted.seeds[0]),
        stills=wanted.stills,
        davis=wanted.data is not None,
        resamples=wanted.resamples,
        folder=wanted.folder,
        pictures=wanted.pictures,
    )
    return {"report": str(wanted.folder), **record}, page


def _masks(wanted: Wanted) -> Result:
    from trovid.experiments.embedding import embed_masks
    from trovid.experiments.mask_pages import write_mask_report
    from trovid.experiments.mask_report import mask_report
    from trovid.experiments.mask_runs import mask_jobs, run_masks
    from trovid.training.provenance import report_origin

    began, out = time.monotonic(), wanted.out
    jobs = mask_jobs(wanted.seeds, first=wanted.first_clip, count=wanted.clips)
    run_masks(out, jobs, workers=wanted.workers, device=wanted.device)
    result = {
        **report_origin(wanted.device, began=began),
        **mask_report(out, jobs, resamples=wanted.resamples),
    }
    markdown = write_mask_report(result, wanted.folder)
    embedded = list(map(str, embed_masks(out, result))) if wanted.embed else []
    return {"report": str(wanted.folder), "embedded": embedded, **result}, markdown


def _synthvid(wanted: Wanted) -> Result:
    from trovid.experiments.embedding import embed_weights
    from trovid.experiments.synthvid_data import synthvid_folder
    from trovid.experiments.synthvid_jobs import (
        run_scores,
        run_trainings,
        score_jobs,
        training_records,
    )
    from trovid.experiments.synthvid_pages import write_report
    from trovid.experiments.synthvid_report import synthvid_report
    from trovid.progress import bar
    from trovid.recipes.synthvid import CLIPS
    from trovid.training.provenance import report_origin

    began = time.monotonic()
    out, seeds = wanted.out, wanted.seeds
    clips, every = wanted.clips or 300, wanted.every or 3
    first_clip = 300 if wanted.first_clip is None else wanted.first_clip
    data = synthvid_folder(out, train=CLIPS, val=100, test=clips, first_test_clip=first_clip)
    run_trainings(out, data, seeds, workers=wanted.workers, device=wanted.device)
    jobs = score_jobs(seeds, videos=clips, val_videos=40, every=every)
    with bar("running models", unit="runs") as tick:
        run_scores(out, data, jobs, workers=wanted.workers, progress=tick)
    result = synthvid_report(out, data, jobs, resamples=wanted.resamples)
    result = {
        **report_origin(began=began),
        "every": every,
        "trainings": training_records(out, seeds),
        **result,
    }
    markdown = write_report(result, wanted.folder)
    embedded = list(map(str, embed_weights(out, result))) if wanted.embed else []
    return {"report": str(wanted.folder), "embedded": embedded, **result}, markdown


RUNS: dict[str, Callable[[Wanted], Result]] = {
    "synthvid": _synthvid,
    "synthvid-masks": _masks,
    "everyday": _everyday,
    "everyday-limits": _everyday_limits,
    "premise": _premise,
    "recognition": _recognition,
    "blur": _blur,
}
"""Those that are no table of rows on SynthVID."""
