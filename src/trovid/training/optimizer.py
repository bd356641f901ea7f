"""The optimiser of a training and its learning rate."""

from __future__ import annotations

import math

import torch
from torch import nn

from trovid.recipes import TrainingRecipe


def make_optimizer(model: nn.Module, settings: TrainingRecipe) -> torch.optim.Optimizer:
    """AdamW, where one-dimensional parameters (biases, norms) do not decay, or SGD."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rate, momentum, decay = settings.learning_rate, settings.momentum, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=momentum, weight_decay=decay)
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(momentum, 0.999))


def learning_rate(settings: TrainingRecipe, step: int) -> float:
    """Linear warm-up; then a tenth at each of the drops, or half a cosine down to nothing."""
    start = settings.warmup_start
    warm = start + (1 - start) * min(1.0, (step + 1) / max(1, settings.warmup))
    if settings.drops:
        return settings.learning_rate * warm * 0.1 ** sum(step >= drop for drop in settings.drops)
    return settings.learning_rate * warm * (1 + math.cos(math.pi * step / settings.steps)) / 2
