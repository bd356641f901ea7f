"""One step of a training: losses, gradients, optimiser."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

from trovid.inference.runtime.memory import memory_errors
from trovid.inference.runtime.precision import computes_bfloat16
from trovid.recipes import TrainingRecipe
from trovid.structures import TrainingBatch

log = logging.getLogger("trovid")


def training_precision(settings: TrainingRecipe, device: torch.device | str) -> str:
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


@memory_errors(
    "a smaller training.batch or image in the recipe needs less, so do fewer support_frames"
)
def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: TrainingBatch,
    settings: TrainingRecipe,
    *,
    precision: str = "float32",
) -> dict[str, Tensor]:
    """One step of the optimiser; the device is asked for one number, whether the loss is finite.

    Args:
        model: A VideoDetector, or DistributedDataParallel around one.
        optimizer: Of its parameters.
        batch: On the model's device.
        settings: Bound of the gradient's norm.
        precision: "bfloat16" or "float32".

    Returns:
        The losses by name, without gradient, where they were computed.

    Raises:
        FloatingPointError: If the loss is not finite; the model is as it was.
    """
    kind = batch.images.device.type
    low = precision == "bfloat16"
    # Older versions of torch keep a weight that was rounded under `no_grad` (the RPN on support
    # frames) and use it again where its gradient is wanted, which is then lost.
    with torch.autocast(kind, torch.bfloat16, enabled=low, cache_enabled=False):
        losses = model(batch)
    total = torch.stack(list(losses.values())).sum()
    if not torch.isfinite(total):
        raise FloatingPointError(f"the loss is {total.item()}: lower training.learning_rate")
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
    optimizer.step()
    return {name: loss.detach() for name, loss in losses.items()}
