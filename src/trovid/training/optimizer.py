"""The optimiser of a training and its learning rate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from trovid.recipes import TrainingRecipe


def make_optimizer(model: nn.Module, settings: TrainingRecipe) -> torch.optim.Optimizer:
    """AdamW, where one-dimensional parameters (biases, norms) do not decay, or SGD.

    Each group of parameters has its `share` of the learning rate (`set_learning_rate`).
    """
    rate, momentum, decay = settings.learning_rate, settings.momentum, settings.weight_decay
    parts = _parts(model, settings.backbone_rate)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parts, lr=rate, momentum=momentum, weight_decay=decay)
    groups = []
    for part in parts:
        large = [p for p in part["params"] if p.dim() > 1]
        small = [p for p in part["params"] if p.dim() <= 1]
        groups.append({**part, "params": large, "weight_decay": decay})
        groups.append({**part, "params": small, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=rate, betas=(momentum, 0.999))


def _parts(model: nn.Module, backbone_rate: float) -> list[dict[str, Any]]:
    """What is trained, apart from it the backbone's network where that has its own rate."""
    trained = [p for p in model.parameters() if p.requires_grad]
    if backbone_rate == 1:
        return [{"params": trained, "share": 1.0}]
    backbone: Any = model.get_submodule("backbone")
    network = {tensor.data_ptr() for tensor in backbone.network_state().values()}
    others, network_parameters = (
        [p for p in trained if (p.data_ptr() in network) == is_in] for is_in in (0, 1)
    )
    return [
        {"params": others, "share": 1.0},
        {"params": network_parameters, "share": backbone_rate},
    ]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives each group of parameters its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


def learning_rate(settings: TrainingRecipe, step: int) -> float:
    """Linear warm-up; then a tenth at each of the drops, or half a cosine down to nothing."""
    start = settings.warmup_start
    warm = start + (1 - start) * min(1.0, (step + 1) / max(1, settings.warmup))
    if settings.drops:
        return settings.learning_rate * warm * 0.1 ** sum(step >= drop for drop in settings.drops)
    return settings.learning_rate * warm * (1 + math.cos(math.pi * step / settings.steps)) / 2
