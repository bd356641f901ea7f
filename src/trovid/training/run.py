"""One training from beginning to end: data, start, loop, validation, weights file."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from trovid.detectors.contract import VideoDetector
from trovid.errors import TrovidError
from trovid.files import below
from trovid.inference.runtime.backend import check_backend
from trovid.inference.runtime.device import usable_device
from trovid.progress import bar
from trovid.recipes import Recipe, changed_recipe, flat_values, load_recipe
from trovid.storage.hashes import sha256_of
from trovid.training.alone import training_alone
from trovid.training.best_start import best_start
from trovid.training.clips import TrainingClips, check_learnable
from trovid.training.data import TrainingData, training_data, trains_identities, trains_masks
from trovid.training.loader import usual_workers
from trovid.training.log import TrainingLog
from trovid.training.loop import Progress, Stopping, never, train
from trovid.training.processes import ALONE, Processes
from trovid.training.provenance import count_memory_anew, training_provenance
from trovid.training.start import initial_detector
from trovid.training.trackers import open_tracker
from trovid.training.validation import Validation, frames_apart, validation
from trovid.video.transforms import make_transform
from trovid.viz.curves import draw_curves
from trovid.zoo.weights import load_weights, read_card, save_weights

log = logging.getLogger("trovid")
FRAMES = "frames"
"""The folder of the resized frames."""
EVERY = 4
"""Of validation clips every so many labelled frames are looked at."""


def weights_file(out: Path, name: str, seed: int) -> Path:
    """Where a training leaves its weights.

    Raises:
        TrovidError: If the recipe's name leads out of the folder.
    """
    return below(out, f"{name}-seed{seed}.safetensors")


def best_file(file: Path) -> Path:
    """Where a training that is validated on the way leaves its best weights."""
    return file.with_name(f"{file.stem}.best{file.suffix}")


def train_recipe(
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    seed: int,
    start: Path | None = None,
    backbone: Path | None = None,
    classes: Sequence[str] | None = None,
    validate: int = 20,
    workers: int | None = None,
    device: str = "auto",
    stopping: Stopping = never,
    say: Callable[[str], None] = log.info,
    processes: Processes = ALONE,
    tracker: str | None = None,
) -> Path:
    """Trains a recipe, and before it the recipe that it starts from.

    What is there already is not made again; an interrupted training goes on from its checkpoint.
    The data are checked first. Losses and learning rate go to a log beside the weights
    (`TrainingLog`) and are drawn as curves; with `training.validate_every` the best weights on the
    way stay beside the last ones. Those of an earlier training are set aside where one begins.

    Args:
        recipe: The recipe.
        data: See `read_dataset`.
        out: Folder for weights, logs, checkpoints and resized frames.
        seed: Of weights, batches and sampling.
        start: Weights to begin from, in place of the recipe's own start.
        backbone: A network's weights to begin the backbone with (`start_backbone`); where the
            recipe starts from another one, that one's.
        classes: See `training_data`.
        validate: Validation clips looked at, at most; 0 for none.
        workers: Processes that read frames ahead; None for as many as are of use
            (`usual_workers`). The result is the same.
        device: Where to train; "auto": on the GPU where there is one.
        stopping: See `train`.
        say: Is told what is worth a line.
        processes: Those that share the training (`started_processes`).
        tracker: Where figures go beside the log (`open_tracker`).

    Returns:
        The weights file.

    Raises:
        Stopped: See `train`.
        TrovidError: If something is wrong with the data, their classes are not the recipe's, a
            checkpoint does not fit, or another process is at the same training.
    """
    file = weights_file(out, recipe.name, seed)
    if file.exists():
        return file
    if processes.count > 1 and recipe.training.random == "step":
        say("several processes: samples of the losses are drawn by frame (training.random: clip)")
        recipe = changed_recipe(recipe, {"training.random": "clip"})
    device = str(usable_device(device))
    check_backend(device)
    if start is None and recipe.training.start is not None:
        _check_before_start(recipe, data, classes=classes, validation=validate > 0)
        start = train_recipe(
            load_recipe(recipe.training.start),
            data=data,
            out=out,
            seed=seed,
            backbone=backbone,
            classes=classes,
            validate=validate,
            workers=workers,
            device=device,
            stopping=stopping,
            say=say,
            processes=processes,
            tracker=tracker,
        )
        backbone = None
    if not recipe.training.own_data and (start is not None or backbone is not None):
        # what does not fit is said before the work
        initial_detector(recipe, seed=seed, start=start, backbone=backbone, say=log.debug)
    if not processes.first:  # the first one checks the data and fills the cache
        processes.wait()
    found = training_data(recipe, data, classes=classes, validation=validate > 0, say=say)
    recipe = found.recipe
    if recipe.training.own_data and (start is not None or backbone is not None):
        initial_detector(recipe, seed=seed, start=start, backbone=backbone, say=log.debug)
    elif recipe.training.own_data:
        start = best_start(recipe)
        if start is None:
            say("no weights at hand fit: everything begins at random")
    wanted, there = recipe.training.videos, len(found.train.videos)
    if wanted is not None and wanted < there:
        say(
            f"recipe {recipe.name}: the first {wanted} of {there} training videos are used "
            "(training.videos; null for all)"
        )
    lock = below(out / FRAMES, f"{recipe.name}-seed{seed}.lock")
    with training_alone(file, lock) if processes.first else contextlib.nullcontext():
        if file.exists():  # while this one waited for another process
            if processes.count > 1:
                raise TrovidError(f"{file}: another process has trained it meanwhile")
            return file
        clips = _clips(recipe, found, out / FRAMES)
        if processes.first:
            processes.wait()
        opened = open_tracker(
            tracker if processes.first else None, out, run=file.stem, recipe=flat_values(recipe)
        )
        log_file = TrainingLog(file.with_suffix(".jsonl"), tracker=opened)
        run = _Run(file, found, validate, device, log_file)
        checkpoint = file.with_suffix(".checkpoint")
        count_memory_anew(torch.device(device))
        if processes.first and not checkpoint.exists():
            _set_aside(best_file(file), say)
        with bar(f"{recipe.name} seed {seed}", unit="steps") as tick:

            def report(progress: Progress) -> None:
                run.log.add(progress)
                losses = "  ".join(f"{name} {value:.3f}" for name, value in run.log.losses.items())
                tick(progress.step, progress.steps, losses)

            trained = train(
                recipe,
                clips,
                seed=seed,
                checkpoint=checkpoint,
                start=start,
                backbone=backbone,
                workers=usual_workers(clips) if workers is None else workers,
                device=device,
                report=report if processes.first else None,
                stopping=stopping,
                on_the_way=run.on_the_way,
                say=say,
                processes=processes,
            )
        if not processes.first:
            processes.wait()
            return file
        provenance = training_provenance(
            seed=seed,
            seconds=trained.seconds,
            device=device,
            processor_seconds=trained.processor_seconds,
        )
        provenance["precision"] = trained.precision
        provenance["data"] = clips.dataset.info
        if recipe.training.own_data and start is not None:
            provenance["start"] = {"source": start.name, "sha256": sha256_of(start)}
        if backbone is not None:
            provenance["backbone"] = {"source": backbone.name, "sha256": sha256_of(backbone)}
        run.finish(trained.detector, provenance)
        opened.close()
        load_weights(file)  # what cannot be read back is no end of a training
        draw_curves(run.log.path, file.with_suffix(".png"))
        checkpoint.unlink(missing_ok=True)
        processes.wait()
        return file


@dataclasses.dataclass(frozen=True)
class _Run:
    """The files of a training and how it is measured.

    Attributes:
        file: The weights in the end.
        data: What is learned and measured.
        clips: Validation clips looked at.
        device: Where.
        log: The log.
    """

    file: Path
    data: TrainingData
    clips: int
    device: str
    log: TrainingLog

    def on_the_way(self, detector: VideoDetector, step: int) -> None:
        """Measures the detector, draws the curves, and keeps it where it is the best so far."""
        found = self._measure(detector)
        if found is None:
            return
        self.log.note(step, _known(found.figures))
        draw_curves(self.log.path, self.file.with_suffix(".png"))
        self._keep_if_best(detector, found, {"step": step})

    def finish(self, detector: VideoDetector, provenance: dict[str, Any]) -> None:
        """Measures the trained detector and writes its weights."""
        found = self._measure(detector)
        if found is not None:
            provenance = {**provenance, **_known(found.figures)}
            if self.data.recipe.training.validate_every:
                step = self.data.recipe.training.steps
                self.log.note(step, _known(found.figures))
                self._keep_if_best(detector, found, {**provenance, "step": step})
        save_weights(self.file, detector, self.data.recipe, provenance=provenance)

    def _measure(self, detector: VideoDetector) -> Validation | None:
        val = self.data.val
        if val is None or not self.clips:
            return None
        every = frames_apart(val, self.clips) if self.data.recipe.training.own_data else EVERY
        with bar("validation", unit="clips") as tick:
            return validation(
                detector,
                self.data.recipe,
                val,
                videos=self.clips,
                device=self.device,
                every=every,
                progress=tick,
            )

    def _keep_if_best(
        self, detector: VideoDetector, found: Validation, provenance: dict[str, Any]
    ) -> None:
        best = best_file(self.file)
        before = read_card(best).provenance.get("val_ap50", -1.0) if best.exists() else -1.0
        if found.ap50 > before:
            provenance = {**provenance, **_known(found.figures)}
            save_weights(best, detector, self.data.recipe, provenance=provenance)


def _set_aside(best: Path, say: Callable[[str], None]) -> None:
    """Gives the best weights of an earlier training another name, so that none of this are lost."""
    if not best.exists():
        return
    names = (best.with_name(f"{best.stem}-{number}{best.suffix}") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    best.rename(aside)
    say(f"{best} is of an earlier training: it is {aside.name} now")


def _known(figures: dict[str, float]) -> dict[str, float]:
    """Without what is not a number, which JSON does not know."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _check_before_start(
    recipe: Recipe, data: Path, *, classes: Sequence[str] | None, validation: bool
) -> None:
    """That masks and identities are there which the recipe that this one starts from needs not."""
    wanted = {"masks": trains_masks(recipe), "identities": trains_identities(recipe)}
    if not any(wanted.values()):
        return
    try:
        found = training_data(recipe, data, classes=classes, validation=validation, say=log.debug)
    except TrovidError:
        return  # said, fault by fault, where the data are read to be trained on
    names = [video.name for video in found.train.videos[: recipe.training.videos]]
    check_learnable(found.train, names, **wanted)


def _clips(recipe: Recipe, data: TrainingData, cache: Path) -> TrainingClips:
    transform = make_transform(**dataclasses.asdict(recipe.image))
    with bar("resizing clips", unit="clips") as tick:
        return TrainingClips(
            data.train,
            transform,
            cache=cache,
            videos=recipe.training.videos,
            masks=trains_masks(recipe),
            identities=trains_identities(recipe),
            progress=tick,
        )
