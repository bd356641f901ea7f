"""Activations of the backbone that are computed again instead of kept."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trovid.errors import TrovidError


def checkpoint_backbone(backbone: nn.Module) -> None:
    """From now on the backbone goes through the frames one by one and keeps its input alone.

    In the backward pass the activations of one frame after the other are computed again, so that
    those of one frame at most are there at a time. Losses and gradients are the same.

    Args:
        backbone: Gives levels by name; changed in place.

    Raises:
        TrovidError: If its BatchNorm takes statistics of the batch, which would be others then.
    """
    if any(isinstance(m, nn.BatchNorm2d) and m.training for m in backbone.modules()):
        raise TrovidError(
            "training.checkpointing goes frame by frame, but this backbone takes BatchNorm's "
            "statistics of all frames together: freeze its stages, or leave checkpointing out"
        )
    plain = backbone.forward

    def forward(images: Tensor) -> dict[str, Tensor]:
        if not torch.is_grad_enabled():
            return plain(images)
        frames = [checkpoint(plain, frame, use_reentrant=False) for frame in images.split(1)]
        return {name: torch.cat([levels[name] for levels in frames]) for name in frames[0]}

    backbone.forward = forward
