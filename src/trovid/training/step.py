"""One step of a training: losses, gradients, optimiser."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from trovid.inference.runtime.memory import memory_errors
from trovid.inference.runtime.precision import gains_from_bfloat16
from trovid.nn.shared_count import PartCounts
from trovid.recipes import TrainingRecipe
from trovid.structures import TrainingBatch

log = logging.getLogger("trovid")


def training_precision(settings: TrainingRecipe, device: torch.device | str) -> str:
    """The recipe's bfloat16 where the device gains from it, else float32; a line says so."""
    if not settings.bfloat16:
        return "float32"
    if gains_from_bfloat16(device):
        return "bfloat16"
    log.warning("training.bfloat16: bfloat16 is slower on this processor: float32 is used instead")
    return "float32"


@memory_errors(
    "a smaller training.batch or image in the recipe needs less, so do fewer support_frames"
)
def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: TrainingBatch | Sequence[TrainingBatch],
    settings: TrainingRecipe,
    *,
    precision: str = "float32",
    unread: list[Tensor] | None = None,
) -> dict[str, Tensor]:
    """One step of the optimiser; the device is asked for one number at most.

    Args:
        model: A VideoDetector, or DistributedDataParallel around one.
        optimizer: Of its parameters.
        batch: On the model's device; several are gone through in turn, and their gradients added.
            What losses are divided by is counted beforehand over all of them, without gradients.
        settings: Bound of the gradient's norm.
        precision: "bfloat16" or "float32".
        unread: Gets a Tensor[], whether losses and gradients are finite, and the device is asked
            nothing; gradients that are not finite count as zeros. None to ask whether the loss is.

    Returns:
        The losses by name, without gradient, where they were computed.

    Raises:
        FloatingPointError: If the loss was asked for and is not finite; the model is as it was.
    """
    batches = [batch] if isinstance(batch, TrainingBatch) else list(batch)
    low = precision == "bfloat16"
    counts = _counts(model, batches, low=low) if len(batches) > 1 else None
    optimizer.zero_grad(set_to_none=True)
    sums: dict[str, Tensor] = {}
    for number, part in enumerate(batches):
        last = number + 1 == len(batches)
        with nullcontext() if last else _alone(model):
            with nullcontext() if counts is None else counts.shared(part.images):
                losses = _losses(model, part, low=low)
            total = torch.stack(list(losses.values())).sum()
            if unread is None and not torch.isfinite(total):
                optimizer.zero_grad(set_to_none=True)
                raise FloatingPointError(
                    f"the loss is {total.item()}: lower training.learning_rate"
                )
            total.backward()
        for name, loss in losses.items():
            sums[name] = sums[name] + loss.detach() if name in sums else loss.detach()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
    if unread is not None:
        whole = torch.isfinite(norm)
        unread.append(whole & torch.isfinite(torch.stack([*sums.values()])).all())
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.masked_fill_(~whole, 0)
    optimizer.step()
    return sums


def _alone(model: nn.Module) -> AbstractContextManager[None]:
    """While it lasts, the processes do not exchange gradients."""
    shared = isinstance(model, nn.parallel.DistributedDataParallel)
    return model.no_sync() if shared else nullcontext()


def _counts(model: nn.Module, batches: Sequence[TrainingBatch], *, low: bool) -> PartCounts:
    """How many samples of each kind all batches have, by a pass that leaves no trace."""
    detector = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
    norms = [layer for layer in detector.modules() if isinstance(layer, nn.BatchNorm2d)]
    tracking = [layer for layer in norms if layer.training and layer.track_running_stats]
    device = batches[0].images.device
    counts = PartCounts()
    for layer in tracking:
        layer.track_running_stats = False
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            for part in batches:
                with counts.counted():
                    _losses(detector, part, low=low)
    finally:
        for layer in tracking:
            layer.track_running_stats = True
    return counts


def _losses(model: nn.Module, batch: TrainingBatch, *, low: bool) -> dict[str, Tensor]:
    # Older versions of torch keep a weight that was rounded under `no_grad` (the RPN on support
    # frames) and use it again where its gradient is wanted, which is then lost.
    kind = batch.images.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=low, cache_enabled=False):
        return model(batch)
