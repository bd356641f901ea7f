"""The mask head of torchvision's Mask R-CNN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from trovid.nn import LevelPooler, RoIAlign
from trovid.nn.batch_norm import FixedStatistics
from trovid.nn.mask_head import MaskHead


def mask_parts(heads: Any, levels: Sequence[str], labels: Sequence[int]) -> dict[str, Any]:
    """The arguments of MaskTrackRCNN that torchvision's RoI heads give.

    Args:
        heads: torchvision's RoIHeads with a mask head.
        levels: Names of the levels that are pooled from.
        labels: torchvision's label of each class.
    """
    pool, predictor = heads.mask_roi_pool, heads.mask_predictor
    enlarge, last = predictor.conv5_mask, predictor.mask_fcn_logits
    mask_head = MaskHead(
        enlarge.in_channels,
        channels=enlarge.out_channels,
        convolutions=0,
        num_classes=len(labels),
    ).to(last.weight.device)
    mask_head.layers = nn.ModuleList(_layer(block) for block in heads.mask_head)
    mask_head.upsample = enlarge
    with torch.no_grad():
        for name in ("weight", "bias"):
            getattr(mask_head.mask_logits, name).copy_(getattr(last, name)[list(labels)])
    pooler = LevelPooler(
        RoIAlign(pool.output_size, sampling_ratio=pool.sampling_ratio),
        levels,
        canonical_scale=pool.canonical_scale,
        canonical_level=pool.canonical_level,
    )
    return {"mask_features": pooler, "mask_head": mask_head}


def _layer(block: nn.Sequential) -> nn.Module:
    """A convolution, with the norm behind it where there is one; ReLU is the head's own."""
    parts = [part for part in block if not isinstance(part, nn.ReLU)]
    return parts[0] if len(parts) == 1 else FixedStatistics(*parts)
