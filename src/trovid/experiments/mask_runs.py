"""The long computing of the experiment on masks: trainings, and tracks of clips; resumable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from trovid.datasets.coco_vid import read_coco_vid
from trovid.evaluation.dataset_runner import SupportSource, run_dataset
from trovid.experiments.clips import clips_file, written_clips
from trovid.experiments.description import Clips
from trovid.experiments.pool import process_pool
from trovid.experiments.synthvid_data import synthvid_folder
from trovid.experiments.synthvid_jobs import CONTROLS, devices, run_trainings
from trovid.inference.loading import load
from trovid.inference.predictor import USUAL_SCORE
from trovid.progress import bar
from trovid.recipes.heads import with_tracking
from trovid.recipes.synthvid import CLIPS
from trovid.recipes.youtube_vis import PUBLISHED_MEMORY
from trovid.runs.predictions import read_document
from trovid.runs.sinks.json import JsonWriter
from trovid.storage.hashes import sha256_of
from trovid.structures.detect_options import CONTINUE_SCORE
from trovid.training.run import weights_file

SINGLE, FULL = "synthvid-masktrack", "synthvid-masktrack-troi"
MODELS = (SINGLE, FULL)
CLASSES = Clips(first=2400, count=200, every=2)
TWINS = Clips(first=2600, count=200, every=1, setting="twins")
"""Clips that nothing was tried on; both fixed before any of them was looked at.

Clips 2000 to 2199 were read before classes were voted for along identities, 2200 to 2399 before
the schedule was made longer and objects were expected to move on, of `twins` 2400 to 2599 before
identities were compared at each model's best score."""
LOWEST_SCORE = {"classes": 0.05, "twins": 0.5}
"""AP asks for unsure detections too; identities are of what `trovid segment` is sure of."""
BEST_SCORE = {SINGLE: 0.1, FULL: 0.3}
"""From which score on a model's identities have the greatest HOTA.

Of 0.05, 0.1, 0.2 and so on to 0.7, with the default memory, seeds 1 to 3, on the val clips 200 to
299 of `twins` (`tools/best_score.py`). At a score that is the same for both, one model finds more
objects than the other, and so has more identities to lose."""
Variant = Literal["", "published memory", "handed out", "best score"]


@dataclass(frozen=True)
class MaskJob:
    """One model over some clips.

    Attributes:
        model: Name of the recipe.
        seed: Seed of its training.
        clips: The clips.
        source: Where support frames come from.
        variant: Of identities: "published memory" where that finds them, not the model's own; else
            what they are of: "handed out": what `trovid segment` hands out by default, "best
            score": detections from BEST_SCORE on, "": those from LOWEST_SCORE on.
    """

    model: str
    seed: int
    clips: Clips
    source: SupportSource = "clip"
    variant: Variant = ""

    def file(self, out: Path) -> Path:
        """Where the tracks are kept, as JSON of `trovid segment`."""
        ends = ["" if self.source == "clip" else self.source, self.variant]
        extra = "".join(f"-{end.replace(' ', '-')}" for end in ends if end)
        place = f"{self.clips.key}-every-{self.clips.every}"
        return out / "tracks" / place / f"{self.model}-seed{self.seed}{extra}.json"

    def scores(self) -> dict[str, float]:
        """The scores from which detections begin identities, and continue them."""
        if self.variant == "handed out":
            return {"score": USUAL_SCORE, "continue_score": CONTINUE_SCORE}
        best = self.variant == "best score"
        score = BEST_SCORE[self.model] if best else LOWEST_SCORE[self.clips.setting]
        return {"score": score, "continue_score": 1.0}


def mask_jobs(
    seeds: Sequence[int], *, first: int | None = None, count: int | None = None
) -> list[MaskJob]:
    """All runs that the report needs.

    Both models over both kinds of clips, with both memories, the controls, what the command hands
    out, and identities at each model's best score.

    Args:
        seeds: Of the trainings.
        first: Number of the first clip; None for CLASSES' and TWINS' own.
        count: Clips of each kind; None for theirs.
    """
    classes, twins = (
        replace(
            clips,
            first=clips.first if first is None else first,
            count=clips.count if count is None else count,
        )
        for clips in (CLASSES, TWINS)
    )
    variants: list[tuple[Clips, Variant]] = [
        (classes, "published memory"),
        (twins, "published memory"),
        (classes, "handed out"),
        (twins, "best score"),
    ]
    jobs = []
    for seed in seeds:
        jobs += [MaskJob(model, seed, clips) for clips in (classes, twins) for model in MODELS]
        jobs += [MaskJob(FULL, seed, classes, source) for source in CONTROLS]
        jobs += [
            MaskJob(model, seed, clips, variant=variant)
            for clips, variant in variants
            for model in MODELS
        ]
    return jobs


def run_masks(out: Path, jobs: Sequence[MaskJob], *, workers: int, device: str = "cpu") -> None:
    """Trains what is missing, and runs the models over the clips.

    A file of tracks that was made with the weights that are there is not made again.
    """
    data = synthvid_folder(out, train=CLIPS, val=100)
    seeds = sorted({job.seed for job in jobs})
    run_trainings(out, data, seeds, workers=workers, device=device, models=MODELS)
    for clips in dict.fromkeys(job.clips for job in jobs):
        written_clips(out, clips, workers=workers)
    missing = [job for job in jobs if not is_done(out, job)]
    turns = cycle(devices(device))
    with process_pool(workers) as pool, bar("running models", unit="runs") as tick:
        futures = [pool.submit(segment_clips, job, out, next(turns)) for job in missing]
        for done, future in enumerate(futures, 1):
            future.result()
            tick(done, len(futures))


def is_done(out: Path, job: MaskJob) -> bool:
    """Whether a job's tracks are there, made with its weights."""
    file = job.file(out)
    if not file.exists():
        return False
    head = read_document(file).get("head", {})
    return head.get("weights_sha256") == sha256_of(weights_file(out, job.model, job.seed))


def segment_clips(job: MaskJob, out: Path, device: str = "cpu") -> None:
    """Runs a job and writes its tracks."""
    weights = weights_file(out, job.model, job.seed)
    predictor = load(weights, device=device)
    if job.variant == "published memory":
        predictor.recipe = with_tracking(predictor.recipe, PUBLISHED_MEMORY)
    dataset = read_coco_vid(clips_file(out, job.clips))
    options: dict[str, Any] = {"masks": True, "track": "embedding", **job.scores()}
    found = run_dataset(
        predictor,
        dataset,
        every=job.clips.every,
        support_source=job.source,
        **options,
    )
    provenance = {"weights_sha256": sha256_of(weights), "support_from": job.source}
    with JsonWriter(
        job.file(out),
        model=job.model,
        class_names=predictor.class_names,
        options=options,
        provenance=provenance,
    ) as writer:
        for video, frames in groupby(found, key=itemgetter(0)):
            file_name = dataset.path(video.name).name
            writer.write_video(video, file_name, (detections for _, detections in frames))
