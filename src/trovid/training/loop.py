"""The training loop: from a recipe and clips to a trained detector."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trovid.detectors.faster_rcnn.detector import Detector
from trovid.errors import TrovidError
from trovid.inference.runtime.device import usable_device
from trovid.recipes import Recipe
from trovid.storage.hashes import sha256_of
from trovid.training.checkpoints import Position, load_checkpoint, save_checkpoint
from trovid.training.clips import TrainingClips
from trovid.training.loader import drawn_clips
from trovid.training.optimizer import learning_rate, make_optimizer
from trovid.training.start import initial_detector
from trovid.training.step import training_precision, training_step

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
    """

    detector: Detector
    seconds: float
    precision: str


def train(
    recipe: Recipe,
    clips: TrainingClips,
    *,
    seed: int,
    checkpoint: Path,
    start: Path | None = None,
    backbone: Path | None = None,
    save_every: int = 200,
    workers: int = 0,
    device: str = "auto",
    report: Callable[[Progress], None] | None = None,
    stopping: Stopping = never,
) -> Trained:
    """Trains a detector, going on from the checkpoint where there is one.

    Every random number depends on (seed, step) alone, so an interrupted and resumed training
    computes what an uninterrupted one computes, in the precision that it began with.

    Args:
        recipe: The recipe, whose `training` is followed.
        clips: The training clips.
        seed: Of weights, batches and sampling.
        checkpoint: File of the checkpoint.
        start: Weights to begin from; parameters they lack begin at random.
        backbone: A network's weights to begin the backbone with (`start_backbone`).
        save_every: Steps between two checkpoints.
        workers: Processes that draw clips ahead (`drawn_clips`); the result is the same.
        device: Where to train; "auto": on the GPU where there is one.
        report: Called after every step.
        stopping: Is asked after every step; when it says so, the checkpoint is written and the
            training ends with `Stopped`.

    Returns:
        The trained detector, and what is to be told of its training.

    Raises:
        TrovidError: If the checkpoint is of another training: of another recipe, seed, start or
            other data.
        Stopped: If it was asked to stop.
    """
    settings, place = recipe.training, usable_device(device)
    detector = initial_detector(recipe, seed=seed, start=start, backbone=backbone)
    detector = detector.to(place).train()
    optimizer = make_optimizer(detector, settings)
    origin = {
        "data": clips.digest,
        "start": "none" if start is None else sha256_of(start),
        "backbone": "none" if backbone is None else sha256_of(backbone),
    }
    own = {"seed": seed, "recipe": recipe, "origin": origin}
    if checkpoint.exists():
        at = load_checkpoint(checkpoint, detector, optimizer, **own)
    else:
        at = Position(step=0, seconds=0.0, precision=training_precision(settings, place))
    began = time.monotonic() - at.seconds
    steps = range(at.step, settings.steps)
    drawing = drawn_clips(clips, settings, seed=seed, steps=steps, workers=workers)
    with closing(drawing) as drawn, stopping() as stop:
        for step, frames in zip(steps, drawn, strict=True):
            torch.manual_seed(seed * 1_000_003 + step)
            rate = learning_rate(settings, step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            losses = training_step(
                detector,
                optimizer,
                frames.batch(clips.transform, place),
                settings,
                precision=at.precision,
            )
            seconds = time.monotonic() - began
            if report:
                values = torch.stack(list(losses.values()))
                told = (step + 1, settings.steps, seconds, rate, tuple(losses), values)
                report(Progress(*told))
            done = step + 1 == settings.steps
            stopped = stop() and not done
            if (step + 1) % save_every == 0 or done or stopped:
                now = Position(step + 1, seconds, at.precision)
                save_checkpoint(checkpoint, detector, optimizer, now, **own)
            if stopped:
                raise Stopped(
                    f"stopped after step {step + 1} of {settings.steps}, which {checkpoint} holds: "
                    "the same call goes on there"
                )
    return Trained(detector.eval(), time.monotonic() - began, at.precision)
