"""The direct backend: torch calls, one similarity product a support frame, in bounded memory.

Everything here is channels last and in one precision (float32 or float64), on any device.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torchvision
from torch import Tensor

from trovid.ops.direct_attention import RunningAttention, attention, attention_gradient
from trovid.ops.direct_similarity import most_similar_gradient, select, weighted_rows
from trovid.ops.packed import PackedSupport
from trovid.ops.problem import Choice, Gradients, Problem
from trovid.ops.roi_align import roi_align_gradient

WORKSPACE_BYTES = 64 * 2**20
"""Bound on the temporaries that grow with RoIs times frames, where no gradient is needed."""

_COPIES = 4
"""Temporaries of the size of the most similar features that exist at a time."""


class _Group(NamedTuple):
    """RoIs of videos with equally many support frames, video after video.

    Attributes:
        rois: Tensor[R'], their places among all RoIs.
        counts: Number of RoIs of each of these videos.
        videos: The videos' numbers.
        support: The videos' support maps, T' each.
        first_rows: Tensor[T', R'], the first row of each RoI's video's frames in `support`.
    """

    rois: Tensor
    counts: list[int]
    videos: list[int]
    support: PackedSupport
    first_rows: Tensor


def forward(problem: Problem, keep: bool) -> tuple[Tensor, Choice | None]:
    """Temporal RoI features Tensor[R, C, h, w] and, where asked for, the choice behind them."""
    roi_features = torchvision.ops.roi_align(problem.features, problem.rois, *problem.pooling)
    output = roi_features.clone()
    if not keep:
        for group in _groups(problem):
            output[group.rois] = _in_bounded_memory(roi_features[group.rois], group, problem)
        return output, None
    num_heads, weight, bias, logit_scale = problem.attention
    area = problem.output_size[0] * problem.output_size[1]
    all_sets = _channels_last(roi_features)
    scores = roi_features.new_zeros(problem.longest, len(output), area, problem.top_k)
    indices = torch.zeros(scores.shape, dtype=torch.int32, device=scores.device)
    for group in _groups(problem):
        frames = group.support.lengths[0]
        sets = all_sets[group.rois]
        counts = [count * area for count in group.counts]
        chosen = select(sets.flatten(0, 2), group.support, counts, problem.top_k)
        similar = weighted_rows(group.support.rows, chosen[1], chosen[0].softmax(dim=2))
        similar = similar.view(-1, *sets.shape)
        if weight is None:
            result = (sets + similar.sum(dim=0)) / (frames + 1)
        else:
            result, _ = attention(sets, similar, num_heads, weight, bias, logit_scale)
        output[group.rois] = result.permute(0, 3, 1, 2)
        scores[:frames, group.rois] = chosen[0].unflatten(1, (-1, area))
        cells = chosen[1].unflatten(1, (-1, area)) - group.first_rows[:, :, None, None]
        indices[:frames, group.rois] = cells.int()
    return output, Choice(all_sets, scores.flatten(1, 2), indices.flatten(1, 2))


def backward(problem: Problem, choice: Choice, grad_output: Tensor) -> Gradients:
    """Gradients of everything, from the choice of the forward pass."""
    area = problem.output_size[0] * problem.output_size[1]
    scores, indices = (t.unflatten(1, (-1, area)) for t in choice[1:])
    grad_roi_features = grad_output.clone()
    grad_rows = torch.zeros_like(problem.support.rows)
    num_heads, weight, bias, logit_scale = problem.attention
    grad_weight, grad_bias = (None if t is None else torch.zeros_like(t) for t in (weight, bias))
    for group in _groups(problem):
        frames = group.support.lengths[0]
        rows = group.support.rows
        sets, grad = choice.sets[group.rois], _channels_last(grad_output[group.rois])
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
            group.support.inverse_norms,
        )
        grad_sets = grad_sets + of_positions.view_as(sets)
        grad_roi_features[group.rois] = grad_sets.permute(0, 3, 1, 2)
        starts = _starts(problem.support.lengths)
        for video, part in zip(group.videos, of_rows.split(frames), strict=True):
            grad_rows[starts[video] : starts[video] + frames] += part
    grad_features = roi_align_gradient(
        grad_roi_features, problem.rois, problem.features.shape, *problem.pooling
    )
    return Gradients(grad_features, grad_rows, grad_weight, grad_bias)


def _groups(problem: Problem) -> Iterator[_Group]:
    """The RoIs by their videos' number of support frames; without those that have none."""
    lengths = problem.support.lengths
    video_of_roi = problem.rois[:, 0].long()
    counts = torch.bincount(video_of_roi, minlength=len(lengths)).tolist()
    members = video_of_roi.argsort(stable=True).split(counts)
    for length in sorted(set(lengths) - {0}):
        videos = [v for v, count in enumerate(counts) if count and lengths[v] == length]
        if not videos:
            continue
        support = problem.support.videos(videos)
        some = [counts[video] for video in videos]
        cells = support.rows.shape[1]
        first = torch.arange(support.num_frames, device=video_of_roi.device) * cells
        repeats = torch.tensor(some, device=video_of_roi.device)
        first_rows = first.view(-1, length).repeat_interleave(repeats, dim=0).t()
        yield _Group(
            torch.cat([members[video] for video in videos]), some, videos, support, first_rows
        )


def _starts(lengths: tuple[int, ...]) -> list[int]:
    return [sum(lengths[:video]) for video in range(len(lengths))]


def _channels_last(roi_features: Tensor) -> Tensor:
    return roi_features.permute(0, 2, 3, 1).contiguous()


def _in_bounded_memory(roi_features: Tensor, group: _Group, problem: Problem) -> Tensor:
    """Tensor[R', C, h, w] by a running softmax, so that a few frames at a time suffice."""
    sets = _channels_last(roi_features)
    area = sets.shape[1] * sets.shape[2]
    frames = group.support.lengths[0]
    features_at_a_time = max(1, WORKSPACE_BYTES // (_COPIES * sets[0].nbytes))
    outputs = []
    for video, video_sets in enumerate(sets.split(group.counts)):
        for part in video_sets.split(features_at_a_time):
            running = RunningAttention(part, *problem.attention)
            positions = part.flatten(0, 2)
            step = max(1, features_at_a_time // len(part))
            for low in range(0, frames, step):
                some = group.support.videos([video]).frames(slice(low, low + step))
                scores, indices = select(positions, some, [len(part) * area], problem.top_k)
                similar = weighted_rows(some.rows, indices, scores.softmax(dim=2))
                running.add(similar.view(-1, *part.shape))
            outputs.append(running.result())
    return torch.cat(outputs).permute(0, 3, 1, 2)
