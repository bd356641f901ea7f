"""`trovid bench training`: a recipe's training step with several backends of the operator."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.allocator import keep_freed_memory
from trovid.benchmarks.machine import machine_record
from trovid.benchmarks.timing import interleave, timing_records
from trovid.detectors.contract import VideoDetector
from trovid.ops.temporal_roi_align.backends import BACKEND_VARIABLE, resolve_backend
from trovid.recipes import Recipe
from trovid.structures.training_batch import TrainingBatch
from trovid.training.optimizer import make_optimizer
from trovid.training.start import initial_detector
from trovid.training.step import training_precision, training_step

LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-4, 1e-2


@dataclass(frozen=True)
class TrainingSettings:
    """How a training step is measured.

    Attributes:
        backends: Of the operator; the first is what the others are held against.
        threads: torch's.
        rounds: At most so many timed steps with each backend.
        seconds: Timed steps stop after these, but not before the second round.
        seed: Of weights and batch.
        quick: A small image and batch.
    """

    backends: tuple[str, ...] = ("reference", "auto")
    threads: int = 2
    rounds: int = 20
    seconds: float = 60.0
    seed: int = 0
    quick: bool = False


def run_training(recipe: Recipe, settings: TrainingSettings) -> dict[str, Any]:
    """Times the whole step (losses, backward, optimiser) on a batch that is generated.

    Before that, losses and gradients of one step are compared in float32 from the same weights.
    Freed memory is kept from here on (`keep_freed_memory`), and the record says whether.

    Args:
        recipe: Its model, batch size and number of support frames; its start is not needed.
        settings: How.

    Returns:
        A record, ready for JSON.

    Raises:
        ValueError: If there is no such backend.
        RuntimeError: If a backend is not available here.
    """
    torch.set_num_threads(settings.threads)
    if settings.quick:
        recipe = replace(
            recipe,
            image=replace(recipe.image, shorter=64, longer=96),
            training=replace(recipe.training, batch=2),
        )
    computed_by = {name: resolve_backend(name, torch.empty(0)) for name in settings.backends}
    batch = generated_batch(recipe, settings.seed)
    runs, results = {}, {}
    for name in settings.backends:
        detector = initial_detector(recipe, seed=settings.seed, start=None).train()
        with using_backend(name):
            results[name] = losses_and_gradients(detector, batch)
        runs[name] = _Step(name, detector, batch, recipe)
        runs[name]()
    timings = interleave(runs, rounds=settings.rounds, budget=settings.seconds)
    first = settings.backends[0]
    return {
        "benchmark": "training",
        "case": recipe.name,
        **asdict(settings),
        "image": list(batch.images.shape[-2:]),
        "batch": recipe.training.batch,
        "support_frames": recipe.training.support_frames,
        "computed_by": computed_by,
        "precision": runs[settings.backends[0]].precision,
        "memory": "kept" if keep_freed_memory() else "system",
        "machine": machine_record(),
        **timing_records(timings),
        "agreement": {
            name: agreement(results[name], results[first]) for name in settings.backends[1:]
        },
    }


class _Step:
    """One training step of a detector with a backend, to be called again and again."""

    def __init__(self, backend: str, detector: VideoDetector, batch: TrainingBatch, recipe: Recipe):
        self.backend, self.detector, self.batch = backend, detector, batch
        self.settings = recipe.training
        self.optimizer = make_optimizer(detector, recipe.training)
        self.precision = training_precision(recipe.training, "cpu")

    def __call__(self) -> None:
        torch.manual_seed(0)
        with using_backend(self.backend):
            training_step(
                self.detector,
                self.optimizer,
                self.batch,
                self.settings,
                precision=self.precision,
            )


@contextmanager
def using_backend(name: str) -> Generator[None]:
    """Lets the operator's "auto" mean this backend."""
    before = os.environ.get(BACKEND_VARIABLE)
    os.environ[BACKEND_VARIABLE] = name
    try:
        yield
    finally:
        os.environ.pop(BACKEND_VARIABLE)
        if before is not None:
            os.environ[BACKEND_VARIABLE] = before


def losses_and_gradients(detector: VideoDetector, batch: TrainingBatch) -> tuple[Tensor, Tensor]:
    """The sum of the losses, and all gradients as one vector, in float32."""
    torch.manual_seed(0)
    total = torch.stack(list(detector(batch).values())).sum()
    parameters = [p for p in detector.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    return total.detach(), torch.cat([g.flatten() for g in gradients if g is not None])


def agreement(actual: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Relative difference of the loss, and of the gradient as a vector.

    A near tie may let two exact backends choose another cell, so the gradient's bound is loose.
    """
    loss, gradient = (
        ((a.double() - b.double()).norm() / b.double().norm()).item()
        for a, b in zip(actual, expected, strict=True)
    )
    passed = loss <= LOSS_TOLERANCE and gradient <= GRADIENT_TOLERANCE
    return {"loss": loss, "gradient": gradient, "passed": passed}


def generated_batch(recipe: Recipe, seed: int) -> TrainingBatch:
    """Smooth random frames, support frames like their target, and three boxes a target."""
    generator = torch.Generator().manual_seed(seed)
    image, training = recipe.image, recipe.training
    height, width = (
        -(-side // image.divisor) * image.divisor for side in (image.shorter, image.longer)
    )
    frames = training.support_frames + 1

    def noise(number: int, scale: int) -> Tensor:
        coarse = torch.randn(number, 3, height // scale, width // scale, generator=generator)
        return F.interpolate(coarse, (height, width), mode="bilinear")

    scenes = noise(training.batch, 8).repeat_interleave(frames, dim=0)
    images = scenes + 0.3 * noise(len(scenes), 4)
    targets_per_clip = frames if training.mutual_support else 1
    targets = []
    for _ in range(training.batch * targets_per_clip):
        corners = torch.rand(3, 2, generator=generator) * torch.tensor([width, height]) * 0.6
        sides = (0.15 + 0.2 * torch.rand(3, 2, generator=generator)) * min(height, width)
        labels = torch.randint(len(recipe.model.classes), (3,), generator=generator)
        targets.append({"boxes": torch.cat([corners, corners + sides], dim=1), "labels": labels})
    indices = [list(range(frames)) for _ in range(training.batch)]
    return TrainingBatch(images, indices, targets_per_clip, targets)


HEAD = ("recipe", "backend", "memory", "steps/s", "median step", "spread", "against")


def training_rows(records: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Steps a second of the fastest step, and how many times as fast as the first backend."""
    rows = []
    for record in records:
        first = record["backends"][0]
        for name in record["backends"]:
            faster = record["minimum"][first] / record["minimum"][name]
            wrong = not record["agreement"].get(name, {"passed": True})["passed"]
            rows.append(
                [
                    record["case"],
                    f"{name} ({record['computed_by'][name]})" if name == "auto" else name,
                    record["memory"],
                    f"{1 / record['minimum'][name]:.2f}",
                    f"{record['median'][name]:.3g} s",
                    f"{record['spread'][name]:.0%}",
                    f"{faster:.2f} x {first}" + (" WRONG" if wrong else ""),
                ]
            )
    return rows
