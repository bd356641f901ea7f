"""Most Similar RoI Align: the features of a RoI in other frames, without knowing where it is."""

from __future__ import annotations

import torch
from torch import Tensor

from trovid.ops.checks import (
    check_maps,
    check_range,
    check_search,
    check_top_k,
    refuse_forward_mode,
)
from trovid.ops.temporal_roi_align import reference
from trovid.ops.temporal_roi_align.backends import resolve_backend
from trovid.ops.temporal_roi_align.cpp import backend as native
from trovid.ops.temporal_roi_align.direct.selection import most_similar, select
from trovid.ops.temporal_roi_align.packed import PackedSupport, check_support, compute_dtype


def most_similar_roi_align(
    roi_features: Tensor,
    support_features: Tensor | PackedSupport,
    *,
    top_k: int = 4,
    search: str = "exact",
    backend: str = "auto",
) -> tuple[Tensor, Tensor, Tensor]:
    """For each RoI position and support frame, the weighted sum of the K most similar features.

    Eq. 2 to 4: cosine similarity with every cell, the K best (equal ones by the lowest index), a
    softmax over their K cosines, the weighted sum of the un-normalised features.

    Args:
        roi_features: Tensor[R, C, h, w], from RoIAlign on the target frame of one video.
        support_features: Tensor[T, C, H, W], or a PackedSupport of one video.
        top_k: K, at most H * W.
        search: See `temporal_roi_align`.
        backend: See `temporal_roi_align`.

    Returns:
        features: Tensor[T, R, C, h, w] in the dtype of `roi_features`.
        points: Tensor[T, R, K, h, w], int64, the chosen cells as y * W + x, best first.
        scores: Tensor[T, R, K, h, w], their cosines (float32, or float64 for float64 input).

    Raises:
        ValueError: If a shape does not fit or `top_k` exceeds H * W.

    Example:
        >>> features, points, scores = most_similar_roi_align(
        ...     torch.rand(3, 8, 7, 7), torch.rand(2, 8, 20, 30), top_k=4
        ... )
        >>> features.shape, points.shape
        (torch.Size([2, 3, 8, 7, 7]), torch.Size([2, 3, 4, 7, 7]))
    """
    check_maps("roi_features", roi_features, "[R, C, h, w]")
    packed = isinstance(support_features, PackedSupport)
    refuse_forward_mode(roi_features, support_features.rows if packed else support_features)
    check_range("roi_features", roi_features, roi_features.shape[1])
    support = check_support(support_features, 1, roi_features.shape[1])
    check_top_k(top_k, support.size, support.num_frames)
    squares = check_search(search, support.size, top_k)
    dtype = compute_dtype(roi_features.dtype)
    backend = resolve_backend(backend, roi_features.to(dtype))
    rois, channels, height, width = roi_features.shape
    frames = support.num_frames
    with torch.autocast(roi_features.device.type, enabled=False):
        support = support.computed_in(dtype)
        if frames == 0:
            features = roi_features.new_empty(0, rois, channels, height, width)
            scores = roi_features.new_empty(0, rois, top_k, height, width, dtype=dtype)
            points = torch.empty_like(scores, dtype=torch.long)
        elif backend == "reference":
            features, points, scores = reference.most_similar_roi_align(
                roi_features.to(dtype), support.maps(), top_k, *squares[1:]
            )
        else:
            positions = roi_features.to(dtype).permute(0, 2, 3, 1).reshape(-1, channels)
            scores, indices = _choose(positions, support, top_k, squares, backend)
            features, scores = most_similar(
                positions, support.rows, scores, indices, support.inverse_norms
            )
            features = features.view(frames, rois, height, width, channels).permute(0, 1, 4, 2, 3)
            points = indices % support.rows.shape[1]
            points, scores = (
                chosen.view(frames, rois, height, width, top_k).permute(0, 1, 4, 2, 3)
                for chosen in (points, scores)
            )
    return features.to(roi_features.dtype), points, scores


def _choose(
    positions: Tensor,
    support: PackedSupport,
    top_k: int,
    search: tuple[int, int, int],
    backend: str,
) -> tuple[Tensor, Tensor]:
    """Eq. 2 for one video: by the native library where that is the backend and searches exactly."""
    if backend == "native" and search[1] == 1:
        rows = support.rows.detach()
        chosen = native.select(positions.detach(), rows, support.inverse_norms, top_k)
        if chosen is not None:
            scores, cells = chosen
            frames = torch.arange(len(rows)).view(-1, 1, 1)
            return scores, cells + frames * rows.shape[1]
    rows = support.rows, support.inverse_norms
    return select(positions, *rows, [len(positions)], top_k, search=search)
