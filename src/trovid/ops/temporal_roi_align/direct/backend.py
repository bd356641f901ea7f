"""The direct backend: torch calls, one map-to-map product a support frame, in bounded memory.

Everything here is channels last and in one precision (float32 or float64), on any device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torchvision
from torch import Tensor

from trovid.ops.roi_align import roi_align_gradient, rois_of_images
from trovid.ops.temporal_roi_align.direct.attention import attention, attention_gradient
from trovid.ops.temporal_roi_align.direct.cell_reads import read_cells
from trovid.ops.temporal_roi_align.direct.selection import (
    most_similar_gradient,
    select,
    weighted_rows,
)
from trovid.ops.temporal_roi_align.problem import Gradients, Problem, Selection

WORKSPACE_BYTES = 64 * 2**20
"""Bound on the temporaries that grow with RoIs times frames in the forward pass."""

_COPIES = 4
"""Temporaries of the size of the most similar features that exist at a time."""


class _Group(NamedTuple):
    """RoIs of videos with equally many support frames, video after video.

    Attributes:
        rois: Tensor[R'], their places among all RoIs.
        counts: Number of RoIs of each of these videos.
        videos: The videos' numbers.
        frames: T', the number of support frames of each of them.
        rows: Tensor[S', P, C], their support maps.
        row_norms: Tensor[S', P], the inverse norms of `rows`.
        first_rows: Tensor[T', R'], the first row of each RoI's video's frames in `rows`.
    """

    rois: Tensor
    counts: list[int]
    videos: list[int]
    frames: int
    rows: Tensor
    row_norms: Tensor
    first_rows: Tensor


def unavailable() -> str | None:
    """None: it can be used everywhere."""
    return None


def forward(
    problem: Problem, keep: bool, *, workspace: int = WORKSPACE_BYTES, block: int | None = None
) -> tuple[Tensor, Selection | None]:
    """Temporal RoI features Tensor[R, C, h, w] and, where asked for, the selection behind them.

    Args:
        problem: What is asked.
        keep: Whether the selection is.
        workspace: Bytes of temporaries that grow with RoIs times frames.
        block: See `select`.
    """
    roi_features = torchvision.ops.roi_align(problem.features, problem.rois, *problem.pooling)
    output = roi_features.clone()
    area = problem.output_size[0] * problem.output_size[1]
    all_sets = _channels_last(roi_features)
    longest = max(problem.lengths) if keep else 0
    scores = roi_features.new_zeros(longest, len(output), area, problem.top_k)
    indices = torch.zeros(scores.shape, dtype=torch.int32, device=scores.device)
    for group in _groups(problem):
        frames, rows, row_norms = group.frames, group.rows, group.row_norms
        sets = all_sets[group.rois]
        counts = [count * area for count in group.counts]
        reads = None
        if problem.square == 1:
            reads = [
                read_cells(problem.features[video], problem.rois[members, 1:], *problem.pooling)
                for video, members in zip(group.videos, group.rois.split(group.counts), strict=True)
            ]
        searched = rows, row_norms, counts, problem.top_k, reads, problem.search
        chosen = select(sets.flatten(0, 2), *searched, block)
        cosines, cells = (t.unflatten(1, (-1, area)) for t in chosen)
        step = max(1, workspace // (_COPIES * (frames + 1) * sets[0].nbytes))
        for low in range(0, len(sets), step):
            some = slice(low, low + step)
            similar = weighted_rows(
                rows, cells[:, some].flatten(1, 2), cosines[:, some].flatten(1, 2).softmax(dim=2)
            )
            result = _over_frames(sets[some], similar.view(frames, *sets[some].shape), problem)
            output[group.rois[some]] = result.permute(0, 3, 1, 2)
        if keep:
            scores[:frames, group.rois] = cosines
            own_cells = cells - group.first_rows[:, :, None, None]
            indices[:frames, group.rois] = own_cells.int()
    if not keep:
        return output, None
    return output, Selection(all_sets, scores.flatten(1, 2), indices.flatten(1, 2))


def _over_frames(sets: Tensor, similar: Tensor, problem: Problem) -> Tensor:
    """The attention, or the plain average, over X_t and the most similar features."""
    num_heads, weight, bias, logit_scale = problem.attention
    if weight is None:
        return (sets + similar.sum(dim=0)) / (len(similar) + 1)
    return attention(sets, similar, num_heads, weight, bias, logit_scale)[0]


def backward(problem: Problem, selection: Selection, grad_output: Tensor) -> Gradients:
    """Gradients of everything, from the selection of the forward pass."""
    area = problem.output_size[0] * problem.output_size[1]
    scores, indices = (t.unflatten(1, (-1, area)) for t in selection[1:])
    grad_roi_features = grad_output.clone()
    grad_rows = torch.zeros_like(problem.rows)
    num_heads, weight, bias, logit_scale = problem.attention
    grad_weight, grad_bias = (None if t is None else torch.zeros_like(t) for t in (weight, bias))
    for group in _groups(problem):
        frames, rows = group.frames, group.rows
        sets, grad = selection.sets[group.rois], _channels_last(grad_output[group.rois])
        chosen = indices[:frames, group.rois] + group.first_rows[:, :, None, None]
        chosen, cosines = chosen.flatten(1, 2), scores[:frames, group.rois].flatten(1, 2)
        similar = weighted_rows(rows, chosen, cosines.softmax(dim=2)).view(-1, *sets.shape)
        if weight is None or grad_weight is None:
            grad_sets = grad / (frames + 1)
            grad_similar = grad_sets.expand_as(similar)
        else:
            grad_sets, grad_similar, of_weight, of_bias = attention_gradient(
                grad, sets, similar, num_heads, weight, bias, logit_scale
            )
            grad_weight = grad_weight + of_weight
            grad_bias = None if grad_bias is None else grad_bias + of_bias
        of_positions, of_rows = most_similar_gradient(
            grad_similar.reshape(frames, -1, sets.shape[-1]),
            None,
            sets.flatten(0, 2),
            rows,
            cosines,
            chosen,
            group.row_norms,
        )
        grad_sets = grad_sets + of_positions.view_as(sets)
        grad_roi_features[group.rois] = grad_sets.permute(0, 3, 1, 2)
        starts = _starts(problem.lengths)
        for video, part in zip(group.videos, of_rows.split(frames), strict=True):
            grad_rows[starts[video] : starts[video] + frames] += part
    grad_features = roi_align_gradient(
        grad_roi_features, problem.rois, problem.features.shape, *problem.pooling
    )
    return Gradients(grad_features, grad_rows, grad_weight, grad_bias)


def _groups(problem: Problem) -> Iterator[_Group]:
    """The RoIs by their videos' number of support frames; without those that have none."""
    lengths, cells = problem.lengths, problem.rows.shape[1]
    members = rois_of_images(problem.rois, len(lengths))
    for length in sorted(set(lengths) - {0}):
        videos = [
            v for v, video_rois in enumerate(members) if len(video_rois) and lengths[v] == length
        ]
        if not videos:
            continue
        rows, row_norms = (
            _of_videos(t, lengths, videos) for t in (problem.rows, problem.inverse_norms)
        )
        counts = [len(members[video]) for video in videos]
        device = problem.rois.device
        first = torch.arange(len(rows), device=device) * cells
        repeats = torch.tensor(counts, device=device)
        first_rows = first.view(-1, length).repeat_interleave(repeats, dim=0).t()
        rois = torch.cat([members[video] for video in videos])
        yield _Group(rois, counts, videos, length, rows, row_norms, first_rows)


def _of_videos(frames: Tensor, lengths: Sequence[int], videos: list[int]) -> Tensor:
    """The frames of some videos; no copy where these are all, or one."""
    if len(videos) == len(lengths):
        return frames
    parts = frames.split(lengths)
    return parts[videos[0]] if len(videos) == 1 else torch.cat([parts[v] for v in videos])


def _starts(lengths: Sequence[int]) -> list[int]:
    return [sum(lengths[:video]) for video in range(len(lengths))]


def _channels_last(roi_features: Tensor) -> Tensor:
    return roi_features.permute(0, 2, 3, 1).contiguous()
