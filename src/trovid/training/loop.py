"""The training loop: from a recipe and clips to a trained detector."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trovid.detectors.contract import VideoDetector
from trovid.errors import TrovidError
from trovid.inference.runtime.device import usable_device
from trovid.recipes import Recipe
from trovid.storage.hashes import sha256_of
from trovid.training.checkpoints import Position, load_checkpoint, save_checkpoint
from trovid.training.clips import TrainingClips
from trovid.training.failed_step import failed_step
from trovid.training.loader import drawn_clips
from trovid.training.memory_needed import memory_needed
from trovid.training.optimizer import learning_rate, make_optimizer, set_learning_rate
from trovid.training.processes import ALONE, Processes
from trovid.training.start import initial_detector
from trovid.training.step import training_precision, training_step
from trovid.training.training_form import plain_form, training_form

log = logging.getLogger("trovid")
SECONDS_UNSAVED = 300.0
"""A checkpoint is written at the latest after so long."""
STEPS_UNREAD = 10
"""After so many steps figures are read from the device, which waits for them."""

Stopping = Callable[[], AbstractContextManager[Callable[[], bool]]]
"""Is entered while steps are done, and then tells whether somebody wants them to stop."""


class Stopped(TrovidError):
    """A training that was asked to stop and has written its checkpoint."""


def never() -> AbstractContextManager[Callable[[], bool]]:
    """Nobody wants it to stop."""
    return nullcontext(lambda: False)


@dataclass(frozen=True, eq=False)
class Progress:
    """What is told of a step.

    Attributes:
        step: Its number, from 1.
        steps: Of how many.
        seconds: Used so far.
        learning_rate: Of this step.
        loss_names: Names of the losses.
        loss_values: Tensor[L], where they were computed.
    """

    step: int
    steps: int
    seconds: float
    learning_rate: float
    loss_names: tuple[str, ...]
    loss_values: Tensor

    @property
    def losses(self) -> dict[str, float]:
        """The losses by name; a GPU is waited for."""
        return dict(zip(self.loss_names, self.loss_values.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training leaves.

    Attributes:
        detector: In eval mode.
        seconds: That the training took in all.
        precision: "bfloat16" or "float32": in which the convolutions and products were computed.
        processor_seconds: Of this process in all, without those that read frames ahead; None where
            it went on from a checkpoint that did not say them.
    """

    detector: VideoDetector
    seconds: float
    precision: str
    processor_seconds: float | None


def train(
    recipe: Recipe,
    clips: TrainingClips,
    *,
    seed: int,
    checkpoint: Path,
    start: Path | None = None,
    backbone: Path | None = None,
    save_every: int = 200,
    check_every: int | None = None,
    workers: int = 0,
    device: str = "auto",
    report: Callable[[Progress], None] | None = None,
    stopping: Stopping = never,
    on_the_way: Callable[[VideoDetector, int], None] | None = None,
    say: Callable[[str], None] = log.info,
    processes: Processes = ALONE,
) -> Trained:
    """Trains a detector, going on from the checkpoint where there is one.

    Every random number depends on (seed, step) alone, so an interrupted and resumed training
    computes what an uninterrupted one computes, in the precision that it began with. The recipe's
    batch is that of all processes together; with `training.random: clip` another number of them
    sees the same clips, samples and (but for the order of sums) losses.

    Args:
        recipe: The recipe, whose `training` is followed.
        clips: The training clips.
        seed: Of weights, batches and sampling.
        checkpoint: File of the checkpoint.
        start: Weights to begin from; parameters they lack begin at random.
        backbone: A network's weights to begin the backbone with (`start_backbone`).
        save_every: Steps between two checkpoints; a checkpoint is also written where
            SECONDS_UNSAVED have passed since the last.
        check_every: Steps between two looks at whether losses are finite; there is a look before
            anything is written too. None for every step on the CPU and STEPS_UNREAD elsewhere,
            where a look waits for the device.
        workers: Processes that draw clips ahead (`drawn_clips`); the result is the same.
        device: Where to train; "auto": on the GPU where there is one.
        report: Called after every step.
        stopping: Is asked after every step, by several processes at every look; when it says so,
            the checkpoint is written and the training ends with `Stopped`.
        on_the_way: Called with the detector and the steps done every `training.validate_every`
            steps, but not after the last; may put the detector into eval mode.
        say: Is told where a training goes on, and what it begins with.
        processes: Those that share the training: each takes its share of a step's clips, the first
            alone writes, reports and is called on the way.

    Returns:
        The trained detector, and what is to be told of its training.

    Raises:
        TrovidError: If the checkpoint is of another training: of another recipe, seed, start or
            other data; if a loss is not finite.
        Stopped: If it was asked to stop.
    """
    settings, place = recipe.training, usable_device(device)
    resumed = checkpoint.exists()
    detector = initial_detector(
        recipe, seed=seed, start=start, backbone=backbone, say=log.debug if resumed else say
    )
    detector = detector.to(place).train()
    share = processes.share(settings.batch) if processes.count > 1 else None
    optimizer = make_optimizer(detector, settings)
    origin = {
        "data": clips.digest,
        "start": "none" if start is None else sha256_of(start),
        "backbone": "none" if backbone is None else sha256_of(backbone),
    }
    identity = {"seed": seed, "recipe": recipe, "origin": origin}
    if resumed:
        at = load_checkpoint(checkpoint, detector, optimizer, **identity)
        say(f"goes on after step {at.step} of {settings.steps}, which {checkpoint} holds")
    else:
        at = Position(0, 0.0, training_precision(settings, place), processor_seconds=0.0)
    began = time.monotonic() - at.seconds
    began_processor = time.process_time()

    def processor_seconds() -> float | None:
        before = at.processor_seconds
        return None if before is None else before + time.process_time() - began_processor

    every = check_every or (1 if place.type == "cpu" else STEPS_UNREAD)
    unread: list[Tensor] = []

    def check(steps_done: int) -> None:
        finite = torch.stack(unread).tolist() if unread else []
        unread.clear()
        if not all(finite):
            step = steps_done - len(finite) + finite.index(False)
            looked_at = clips.draw(settings, seed=seed, step=step, share=share)
            reason = "the loss or its gradient is not finite: lower training.learning_rate"
            raise failed_step(checkpoint, looked_at, clips, step=step + 1, reason=reason)

    saved = time.monotonic()
    steps = range(at.step, settings.steps)
    drawing = drawn_clips(clips, settings, seed=seed, steps=steps, workers=workers, share=share)
    if steps:
        one = replace(settings, batch=1)
        first = clips.draw(one, seed=seed, step=at.step).batch(clips.transform, place)
        at_once = -(-settings.batch // (processes.count * settings.accumulate))
        try:
            needed = memory_needed(detector, first, settings, clips_at_once=at_once, device=place)
        except ValueError as error:
            raise TrovidError(f"step {at.step + 1}: {error}") from error
        say(str(needed))
    model = _shared(detector, place) if processes.count > 1 else detector
    parts = min(settings.accumulate, settings.batch // processes.count)
    with closing(drawing) as drawn, training_form(detector, settings), stopping() as stop:
        for step, frames in zip(steps, drawn, strict=True):
            torch.manual_seed(seed * 1_000_003 + step)
            rate = learning_rate(settings, step)
            set_learning_rate(optimizer, rate)
            pieces = frames.parts(parts) if parts > 1 else [frames]
            batches = [piece.batch(clips.transform, place) for piece in pieces]
            try:
                losses = training_step(
                    model,
                    optimizer,
                    batches,
                    settings,
                    precision=at.precision,
                    unread=None if every == 1 else unread,
                )
            except (FloatingPointError, ValueError) as error:  # an operator may say it first
                check(step)
                raise failed_step(checkpoint, frames, clips, step=step + 1, reason=error) from error
            seconds = time.monotonic() - began
            values = processes.mean(torch.stack(list(losses.values())))
            done = step + 1 == settings.steps
            looks = (step + 1) % every == 0 or done
            asked = looks or processes.count == 1
            stopped = asked and processes.any(stop(), place) and not done
            overdue = time.monotonic() - saved > SECONDS_UNSAVED
            saves = (step + 1) % save_every == 0 or done or stopped or overdue
            pause = settings.validate_every
            measures = bool(on_the_way and pause and (step + 1) % pause == 0 and not done)
            if looks or saves or measures:
                check(step + 1)
            if report:
                told = (step + 1, settings.steps, seconds, rate, tuple(losses), values)
                report(Progress(*told))
            if saves:
                saved = time.monotonic()
                now = Position(step + 1, seconds, at.precision, processor_seconds())
                if processes.first:
                    save_checkpoint(checkpoint, detector, optimizer, now, **identity)
            if stopped:
                raise Stopped(
                    f"stopped after step {step + 1} of {settings.steps}, which {checkpoint} holds: "
                    "the same call goes on there"
                )
            if on_the_way and measures:
                if processes.first:
                    with plain_form(detector):
                        on_the_way(detector, step + 1)
                    detector.train()
                processes.wait()
    seconds = time.monotonic() - began
    return Trained(detector.eval(), seconds, at.precision, processor_seconds())


def _shared(detector: VideoDetector, place: torch.device) -> nn.Module:
    kind = nn.parallel.DistributedDataParallel
    known = inspect.signature(kind).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {name: False}  # every process has them alike
    return kind(detector, device_ids=[place] if place.type == "cuda" else None, **options)
