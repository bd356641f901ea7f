"""The rival, frozen: Temporal RoI Align as it is commonly written in PyTorch.

This file is what every speed in this project is measured against, and it stays as it is: it is
not tuned, not fixed and not made to agree with later versions of trovid. It is written as a user
of PyTorch writes the equations of Gong et al. (AAAI 2021), with the care that such code usually
gets: RoIAlign of torchvision, one batched product a support frame, whole tensors, the library's
own kernels, and autograd for the backward. It uses nothing of trovid. A vector of zero length
gives NaN, which is the rival's affair.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor


def temporal_roi_align(
    features: Tensor,
    support_features: Tensor,
    boxes: Tensor,
    output_size: int,
    spatial_scale: float,
    sampling_ratio: int,
    *,
    top_k: int,
    num_heads: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """RoIAlign, Eq. 2 to 4 for each support frame, and Eq. 5 to 8 or the plain average.

    Args:
        features: Tensor[1, C, H, W].
        support_features: Tensor[T, C, H, W].
        boxes: Tensor[R, 4] in image pixels.
        output_size: h = w.
        spatial_scale: Map pixels per image pixel.
        sampling_ratio: RoIAlign's samples per bin and axis.
        top_k: K.
        num_heads: N; 0 for the plain average.
        weight: Tensor[C, C/N, 3, 3] or Tensor[C, C, 3, 3].
        bias: Tensor[C].

    Returns:
        Tensor[R, C, h, w].
    """
    roi_features = torchvision.ops.roi_align(
        features, [boxes], output_size, spatial_scale, sampling_ratio
    )
    similar = most_similar(roi_features, support_features, top_k)
    sets = torch.cat([roi_features.unsqueeze(0), similar])
    if weight is None:
        return sets.mean(dim=0)
    return temporal_attention(sets, num_heads, weight, bias)


def most_similar(roi_features: Tensor, support_features: Tensor, top_k: int) -> Tensor:
    """Eq. 2 to 4: Tensor[R, C, h, w] and Tensor[T, C, H, W] to Tensor[T, R, C, h, w]."""
    positions = roi_features.flatten(2).transpose(1, 2)
    unit_positions = positions / positions.norm(dim=2, keepdim=True)
    found = []
    for support_map in support_features:
        cells = support_map.flatten(1).t().contiguous()
        unit_cells = cells / cells.norm(dim=1, keepdim=True)
        similarity = torch.matmul(unit_positions, unit_cells.t())
        scores, points = similarity.topk(top_k, dim=2)
        chosen = F.embedding(points, cells)
        found.append((scores.softmax(dim=2).unsqueeze(3) * chosen).sum(dim=2))
    return torch.stack(found).transpose(2, 3).unflatten(3, roi_features.shape[2:]).contiguous()


def temporal_attention(sets: Tensor, num_heads: int, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Eq. 5 to 8: Tensor[T+1, R, C, h, w], the target's own first, to Tensor[R, C, h, w]."""
    groups = sets.shape[2] // weight.shape[1]
    embedded = F.conv2d(sets.flatten(0, 1), weight, bias, padding=1, groups=groups)
    embedded = embedded.view(sets.shape).unflatten(2, (num_heads, -1))
    weights = (embedded * embedded[:1]).sum(dim=3).softmax(dim=0)
    by_head = sets.unflatten(2, (num_heads, -1))
    return (weights.unsqueeze(3) * by_head).sum(dim=0).flatten(1, 2)
