"""Temporal RoI Align: RoIAlign that also looks at other frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchvision
from torch import Tensor

from trovid.ops import operator, reference
from trovid.ops.backends import requested_backend
from trovid.ops.dispatch import (
    check_attention,
    check_boxes,
    check_maps,
    check_size,
    check_support,
    check_top_k,
)
from trovid.ops.packed import PackedSupport, compute_dtype
from trovid.ops.problem import Problem
from trovid.ops.roi_align import roi_align


def temporal_roi_align(
    features: Tensor,
    support_features: Tensor | Sequence[Tensor] | PackedSupport,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
    *,
    top_k: int = 4,
    num_heads: int = 0,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    logit_scale: float = 1.0,
    backend: str = "auto",
) -> Tensor:
    """Temporal RoI Align (Gong et al., AAAI 2021), in the place of `torchvision.ops.roi_align`.

    RoIAlign on the target frame, the most similar features of each RoI position in every support
    frame (Eq. 2 to 4), and their temporal attention (Eq. 5 to 8) or plain average. Without support
    frames it is RoIAlign: bit for bit torchvision's, except where a gradient is asked for on the
    CPU (see `trovid.ops.roi_align`).

    Args:
        features: Tensor[B, C, H, W]: one target frame of each of B videos.
        support_features: Tensor[B, T, C, H, W], a list of B Tensor[T_i, C, H, W] (T_i may be 0),
            or a PackedSupport. A RoI searches the support frames of its own video only.
        boxes: A list of B Tensor[R_i, 4] (x1, y1, x2, y2 in image pixels) or Tensor[R, 5] with
            the index in the batch in front.
        output_size: (h, w) of the RoI grid, or one number for both.
        spatial_scale: Map pixels per image pixel, e.g. 1/16.
        sampling_ratio: RoIAlign's samples per bin and axis; <= 0: adaptive.
        aligned: RoIAlign's shift by half a pixel.
        top_k: K, the number of most similar cells in each support frame (4 in the paper).
        num_heads: N, the number of groups of channels in the attention (4 in the paper); 0
            replaces the attention by the plain mean over the T+1 sets.
        weight: The attention's 3x3 embedding, needed for `num_heads` > 0: Tensor[C, C/N, 3, 3]
            (grouped, the paper) or Tensor[C, C, 3, 3] (dense, the published code).
        bias: Tensor[C], the embedding's bias, or None.
        logit_scale: Factor of the attention's logits (1 in the paper).
        backend: "auto" or one of `trovid.ops.backends()`; the environment variable
            TROVID_BACKEND replaces "auto".

    Returns:
        Tensor[R, C, h, w] in the dtype of `features`, in the order of `boxes`. Similarities and
        softmax are computed in float32 (float64 for float64 input).

    Raises:
        ValueError: If a shape does not fit or `top_k` exceeds H * W.
        TypeError: If maps are not floating point.

    Example:
        >>> features, support = torch.rand(1, 8, 20, 30), torch.rand(1, 14, 8, 20, 30)
        >>> boxes = [torch.tensor([[16.0, 16.0, 160.0, 120.0]])]
        >>> temporal_roi_align(features, support, boxes, 7, 1 / 16, 2).shape
        torch.Size([1, 8, 7, 7])
    """
    check_maps("features", features, "[B, C, H, W]")
    size = check_size(output_size)
    rois = check_boxes(boxes, len(features))
    support = check_support(support_features, len(features), features.shape[1])
    check_top_k(top_k, support)
    check_attention(num_heads, weight, bias, features.shape[1])
    dtype = compute_dtype(features.dtype)
    with torch.autocast(features.device.type, enabled=False):
        problem = Problem(
            features.to(dtype),
            support.to(dtype),
            rois.to(dtype),
            None if weight is None else weight.to(dtype),
            None if bias is None else bias.to(dtype),
            size,
            spatial_scale,
            sampling_ratio,
            aligned,
            top_k,
            num_heads,
            logit_scale,
        )
        backend = requested_backend(backend)
        if not support.num_frames:
            align = torchvision.ops.roi_align if backend == "reference" else roi_align
            output = align(problem.features, problem.rois, *problem.pooling)
        elif backend == "reference":
            output = _by_equations(problem)
        else:
            output = operator.temporal_roi_align(problem, backend)
    return output.to(features.dtype)


def _by_equations(problem: Problem) -> Tensor:
    """The equations as written, video after video; the gradients are autograd's."""
    roi_features = torchvision.ops.roi_align(problem.features, problem.rois, *problem.pooling)
    video_of_roi = problem.rois[:, 0].long()
    maps = problem.support.maps().split(problem.support.lengths)
    parts, places = [], []
    for video, support in enumerate(maps):
        index = (video_of_roi == video).nonzero().squeeze(1)
        part = roi_features[index]
        if len(index) and len(support):
            similar, _, _ = reference.most_similar_roi_align(part, support, problem.top_k)
            heads, weight, bias, logit_scale = problem.attention
            if weight is None:
                part = reference.average(part, similar)
            else:
                part, _ = reference.temporal_attention(
                    part, similar, heads, weight, bias, logit_scale
                )
        parts.append(part)
        places.append(index)
    return torch.cat(parts)[torch.cat(places).argsort()]
