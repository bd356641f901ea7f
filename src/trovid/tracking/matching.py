"""How likely a detection is a known object, by their boxes and by their embeddings."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from trovid.nn.track_head import match_logits

COSINE_SCALE, SAME_COSINE = 20.0, 0.6
"""Cosines as logits: SAME_COSINE is as likely a known object as a new one."""


def overlaps_of(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU Tensor[N, M] of Tensor[N, 4] and Tensor[M, 4]; 0 where neither has an area."""
    return box_iou(boxes.float(), others.float()).nan_to_num(0.0)


def log_matches(embeddings: Tensor, known: Tensor, *, learned: bool) -> Tensor:
    """Logarithm of each detection's probability among "new" and all known objects.

    Args:
        embeddings: Tensor[N, D].
        known: Tensor[M, D], of the known objects.
        learned: Whether inner products of the embeddings are logits, as a track head makes them;
            otherwise their cosines are.

    Returns:
        Tensor[N, 1 + M], "new" first.
    """
    if learned:
        return match_logits(embeddings, known).log_softmax(1)
    cosines = F.normalize(embeddings, dim=1) @ F.normalize(known, dim=1).t()
    return F.pad(COSINE_SCALE * (cosines - SAME_COSINE), (1, 0)).log_softmax(1)
