"""The equations as written: slow, small, and the truth that every backend is held against.

Gong et al., "Temporal ROI Align for Video Object Recognition", AAAI 2021. The gradients are
autograd's own. Three rules that the paper leaves open: among equal similarities the lowest index
wins; a vector of zero norm has the cosine 0 with everything and passes no gradient through it; NaN
and infinities propagate: one in a RoI position makes all channels of that position NaN (and with
the attention of its 3x3 neighbours), one in a support map all RoIs of that video.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.ops.temporal_roi_align.packed import SMALLEST_NORM


def normalize(vectors: Tensor) -> Tensor:
    """Vectors of length 1 along the last axis; a vector of zero norm becomes zero."""
    norms = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    has_direction = ~(norms <= SMALLEST_NORM)
    return torch.where(has_direction, vectors / torch.where(has_direction, norms, 1.0), 0.0)


def most_similar_roi_align(
    roi_features: Tensor, support_features: Tensor, top_k: int, square: int = 1, squares: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Eq. 2 to 4 for one video.

    Args:
        roi_features: Tensor[R, C, h, w], X_t.
        support_features: Tensor[T, C, H, W], F_{t+i}.
        top_k: K.
        square: Side of the squares of cells that are compared first; 1 for none.
        squares: How many of these, and then of their quarters, a position keeps.

    Returns:
        features Tensor[T, R, C, h, w], points Tensor[T, R, K, h, w], scores Tensor[T, R, K, h, w].
    """
    grid = roi_features.shape[2:]
    positions = roi_features.flatten(2).transpose(1, 2)
    unit_positions = normalize(positions)
    all_features, all_points, all_scores = [], [], []
    for support_map in support_features:
        cells = support_map.flatten(1).t()
        similarity = unit_positions @ normalize(cells).t()
        if square > 1:
            units = unit_positions.detach()
            allowed = _in_best_squares(units, support_map.detach(), square, squares)
            similarity = similarity.masked_fill(~allowed, -torch.inf)
        order = similarity.detach().sort(dim=-1, descending=True, stable=True).indices
        points = order[..., :top_k]
        scores = similarity.gather(-1, points)
        weights = scores.softmax(dim=-1)
        features = (weights.unsqueeze(-1) * cells[points]).sum(dim=-2)
        all_features.append(features.transpose(1, 2).unflatten(2, grid))
        all_points.append(points.transpose(1, 2).unflatten(2, grid))
        all_scores.append(scores.transpose(1, 2).unflatten(2, grid))
    return torch.stack(all_features), torch.stack(all_points), torch.stack(all_scores)


def _in_best_squares(unit_positions: Tensor, support_map: Tensor, side: int, kept: int) -> Tensor:
    """Tensor[..., P] of bool: the cells of the 2x2 squares that a search coarse to fine ends with.

    Of the largest squares, represented by the sums of their cells' directions, each of the
    positions Tensor[..., C] keeps the most similar, then of the quarters of these, and so on.
    """
    channels, height, width = support_map.shape
    units = normalize(support_map.flatten(1).t()).t().view(channels, height, width)
    allowed = torch.ones_like(unit_positions[..., :1], dtype=torch.bool)
    while side > 1:
        padded = F.pad(units, (0, -width % side, 0, -height % side))
        sums = F.avg_pool2d(padded, side) * side**2
        cosines = unit_positions @ normalize(sums.flatten(1).t()).t()
        cosines = cosines.masked_fill(~allowed, -torch.inf)
        order = cosines.sort(dim=-1, descending=True, stable=True).indices[..., :kept]
        chosen = torch.zeros_like(cosines, dtype=torch.bool).scatter(-1, order, True)
        on_map = chosen.unflatten(-1, sums.shape[1:])
        finer = on_map.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
        side //= 2
        rows, columns = -(-height // side), -(-width // side)
        allowed = finer[..., :rows, :columns].flatten(-2)
    return allowed


def temporal_attention(
    features: Tensor,
    support_features: Tensor,
    num_heads: int,
    weight: Tensor,
    bias: Tensor | None,
    logit_scale: float,
) -> tuple[Tensor, Tensor]:
    """Eq. 5 to 8.

    Args:
        features: Tensor[R, C, h, w], X_t.
        support_features: Tensor[T, R, C, h, w], the most similar features X_{t+i}.
        num_heads: N.
        weight: Tensor[C, C/N, 3, 3] (one psi a group) or Tensor[C, C, 3, 3] (dense).
        bias: Tensor[C] or None.
        logit_scale: Factor of the logits (1 in the paper).

    Returns:
        output Tensor[R, C, h, w] and weights Tensor[T+1, R, N, h, w], the target first.
    """
    channels = features.shape[1]
    groups = channels // weight.shape[1]
    sets = torch.cat([features.unsqueeze(0), support_features])
    embedded = F.conv2d(sets.flatten(0, 1), weight, bias, padding=1, groups=groups)
    by_head = embedded.view(*sets.shape[:2], num_heads, -1, *sets.shape[3:])
    logits = (by_head * by_head[:1]).sum(dim=3) * logit_scale
    weights = logits.softmax(dim=0)
    sets_by_head = sets.unflatten(2, (num_heads, -1))
    output = (weights.unsqueeze(3) * sets_by_head).sum(dim=0).flatten(1, 2)
    return output, weights


def average(features: Tensor, support_features: Tensor) -> Tensor:
    """The plain mean over the T+1 sets (the "averaging" ablation)."""
    return torch.cat([features.unsqueeze(0), support_features]).mean(dim=0)
