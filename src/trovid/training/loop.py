"""The training loop: from a recipe and clips to weights."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from trovid.detectors.building import build_detector
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.inference.runtime.memory import memory_errors
from trovid.inference.runtime.precision import computes_bfloat16
from trovid.recipes import Recipe, TrainingRecipe
from trovid.storage.state import load_state
from trovid.storage.tensor_files import read_tensors
from trovid.structures.training_batch import TrainingBatch
from trovid.training.checkpoints import Position, load_checkpoint, save_checkpoint
from trovid.training.clips import TrainingClips
from trovid.zoo.backbone_start import start_backbone
from trovid.zoo.class_transfer import transfer_classes
from trovid.zoo.weights import read_card

log = logging.getLogger("trovid")


@dataclass(frozen=True)
class Progress:
    """What a step tells: its number, of how many, the losses by name, seconds used so far."""

    step: int
    steps: int
    losses: dict[str, float]
    seconds: float


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


def training_precision(settings: TrainingRecipe, device: str) -> str:
    """The recipe's bfloat16 where the device computes it, else float32; a line says so."""
    if not settings.bfloat16:
        return "float32"
    if computes_bfloat16(device):
        return "bfloat16"
    log.warning(
        "training.bfloat16: this processor does not compute bfloat16, which would take several "
        "times as long: float32 is used instead"
    )
    return "float32"


def learning_rate(settings: TrainingRecipe, step: int) -> float:
    """Linear warm-up; then a tenth at each of the drops, or half a cosine down to nothing."""
    start = settings.warmup_start
    warm = start + (1 - start) * min(1.0, (step + 1) / max(1, settings.warmup))
    if settings.drops:
        return settings.learning_rate * warm * 0.1 ** sum(step >= drop for drop in settings.drops)
    return settings.learning_rate * warm * (1 + math.cos(math.pi * step / settings.steps)) / 2


def make_optimizer(detector: Detector, settings: TrainingRecipe) -> torch.optim.Optimizer:
    """AdamW, where one-dimensional parameters (biases, norms) do not decay, or SGD."""
    parameters = [p for p in detector.parameters() if p.requires_grad]
    rate, momentum, decay = settings.learning_rate, settings.momentum, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=momentum, weight_decay=decay)
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(momentum, 0.999))


def initial_detector(
    recipe: Recipe, *, seed: int, start: Path | None, backbone: Path | None = None
) -> Detector:
    """The detector of a recipe with random weights by seed, or with those of another detector.

    Of a detector of other classes the rows of the classes with the same name are taken. With
    `backbone` its backbone alone begins with the weights of a file (`start_backbone`).
    """
    torch.manual_seed(seed)
    detector = build_detector(recipe)
    if start is not None:
        tensors, _ = read_tensors(start)
        classes = read_card(start).recipe.model.classes
        own = detector.state_dict()
        tensors = transfer_classes(tensors, own, classes, recipe.model.classes)
        load_state(detector, tensors, str(start), partial=True)
    if backbone is not None:
        log.info("%s", start_backbone(detector, backbone))
    return detector.to(memory_format=torch.channels_last)


def train(
    recipe: Recipe,
    clips: TrainingClips,
    *,
    seed: int,
    checkpoint: Path,
    start: Path | None = None,
    backbone: Path | None = None,
    save_every: int = 200,
    device: str = "cpu",
    report: Callable[[Progress], None] | None = None,
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
        device: Where to train.
        report: Called after every step.

    Returns:
        The trained detector, and what is to be told of its training.
    """
    settings = recipe.training
    detector = initial_detector(recipe, seed=seed, start=start, backbone=backbone)
    detector = detector.to(device).train()
    optimizer = make_optimizer(detector, settings)
    if checkpoint.exists():
        at = load_checkpoint(checkpoint, detector, optimizer, seed=seed, recipe=recipe)
    else:
        at = Position(step=0, seconds=0.0, precision=training_precision(settings, device))
    began = time.monotonic() - at.seconds
    for step in range(at.step, settings.steps):
        torch.manual_seed(seed * 1_000_003 + step)
        batch = clips.batch(
            settings.batch,
            settings.support_frames,
            seed=(seed, step),
            window=settings.support_window,
            mutual=settings.mutual_support,
            draw=settings.draw,
            flip=settings.flip,
            colours=settings.colour_augmentation,
        )
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        losses = training_step(
            detector, optimizer, _to(batch, device), settings, precision=at.precision
        )
        if report:
            report(Progress(step + 1, settings.steps, losses, time.monotonic() - began))
        if (step + 1) % save_every == 0 or step + 1 == settings.steps:
            now = Position(step + 1, time.monotonic() - began, at.precision)
            save_checkpoint(checkpoint, detector, optimizer, now, seed=seed, recipe=recipe)
    return Trained(detector.eval(), time.monotonic() - began, at.precision)


@memory_errors(
    "a smaller training.batch or image in the recipe needs less, so do fewer support_frames"
)
def training_step(
    detector: Detector,
    optimizer: torch.optim.Optimizer,
    batch: TrainingBatch,
    settings: TrainingRecipe,
    *,
    precision: str = "float32",
) -> dict[str, float]:
    """One step of the optimiser; returns the losses by name.

    Raises:
        FloatingPointError: If the loss is not finite.
    """
    kind = batch.images.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16"):
        losses = detector(batch)
    total = torch.stack(list(losses.values())).sum()
    if not torch.isfinite(total):
        raise FloatingPointError(f"the loss is {total.item()}: lower training.learning_rate")
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    torch.nn.utils.clip_grad_norm_(detector.parameters(), settings.clip_norm)
    optimizer.step()
    return {name: loss.item() for name, loss in losses.items()}


def _to(batch: TrainingBatch, device: str) -> TrainingBatch:
    images = batch.images.to(device, memory_format=torch.channels_last)
    targets = [{k: v.to(device) for k, v in target.items()} for target in batch.targets]
    return dataclasses.replace(batch, images=images, targets=targets)
