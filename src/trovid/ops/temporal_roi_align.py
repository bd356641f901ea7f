"""Temporal RoI Align: RoIAlign that also looks at other frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchvision
from torch import Tensor

from trovid.ops import direct, reference
from trovid.ops.dispatch import (
    check_attention,
    check_boxes,
    check_maps,
    check_size,
    check_support,
    check_top_k,
    resolve_backend,
)
from trovid.ops.packed import PackedSupport, compute_dtype
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
        backend: "auto", "reference" or "direct"; the environment variable TROVID_BACKEND replaces
            "auto".

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
    backend = resolve_backend(backend)

    dtype = compute_dtype(features.dtype)
    pooling = (rois, size, spatial_scale, sampling_ratio, aligned)
    if support.num_frames == 0:
        return roi_align(features, *pooling)
    weight = None if weight is None else weight.to(dtype)
    bias = None if bias is None else bias.to(dtype)
    attention = (num_heads, weight, bias, logit_scale)
    with torch.autocast(features.device.type, enabled=False):
        if backend == "reference":
            roi_features = torchvision.ops.roi_align(
                features.to(dtype), rois.to(dtype), *pooling[1:]
            )
        else:
            roi_features = roi_align(features.to(dtype), *pooling)
        if len(rois):
            video_of_roi = rois[:, 0].long()
            if backend == "reference":
                aggregate, groups = _equations, _groups(video_of_roi, support, one_by_one=True)
            else:
                aggregate, groups = direct.aggregate, _groups(video_of_roi, support)
            parts = [
                aggregate(roi_features[members], videos, counts, top_k, *attention)
                if videos.num_frames
                else roi_features[members]
                for members, videos, counts in groups
            ]
            places = torch.cat([members for members, _, _ in groups]).argsort()
            roi_features = torch.cat(parts)[places]
    return roi_features.to(features.dtype)


def _groups(
    video_of_roi: Tensor, support: PackedSupport, *, one_by_one: bool = False
) -> list[tuple[Tensor, PackedSupport, list[int]]]:
    """The RoIs of the videos that have equally many support frames.

    Returns:
        For each group: the indices of its RoIs, video after video; its videos' support; and the
        number of RoIs of each of these videos.
    """
    order = video_of_roi.argsort(stable=True)
    counts = torch.bincount(video_of_roi, minlength=support.num_videos).tolist()
    members = order.split(counts)
    by_length: dict[tuple[int, int], list[int]] = {}
    for video, (count, length) in enumerate(zip(counts, support.lengths, strict=True)):
        if count:
            by_length.setdefault((length, video if one_by_one else 0), []).append(video)
    return [
        (
            torch.cat([members[video] for video in videos]),
            support.videos(videos),
            [counts[video] for video in videos],
        )
        for videos in by_length.values()
    ]


def _equations(
    roi_features: Tensor,
    support: PackedSupport,
    counts: Sequence[int],
    top_k: int,
    num_heads: int,
    weight: Tensor | None,
    bias: Tensor | None,
    logit_scale: float,
) -> Tensor:
    """One video by the equations as written."""
    maps = support.maps().to(roi_features.dtype)
    similar, _, _ = reference.most_similar_roi_align(roi_features, maps, top_k)
    if weight is None:
        return reference.average(roi_features, similar)
    output, _ = reference.temporal_attention(
        roi_features, similar, num_heads, weight, bias, logit_scale
    )
    return output
