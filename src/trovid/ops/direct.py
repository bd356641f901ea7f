"""The direct backend: one similarity product a support frame, in bounded memory.

Everything here is channels last and in one precision (float32 or float64). The choice of the K
points carries no gradient; what follows it is differentiated by hand in `_MostSimilar`, so that
neither the similarity volume nor the K gathered vectors are ever kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.ops.dispatch import needs_grad
from trovid.ops.packed import PackedSupport, inverse_norms
from trovid.ops.top_k import top_k_of_rows

WORKSPACE_BYTES = 64 * 2**20
"""Bound on the temporaries that grow with RoIs times frames, where no gradient is needed."""

_COPIES = 4
"""Temporaries of the size of the most similar features that exist at a time."""


def block_bytes(device: torch.device) -> int:
    """Size of a block of temporaries: what a CPU core's cache holds; more on other devices."""
    return 2**20 if device.type == "cpu" else 128 * 2**20


def select(
    positions: Tensor, support: PackedSupport, counts: Sequence[int], top_k: int
) -> tuple[Tensor, Tensor]:
    """Eq. 2: cosines and indices of the K most similar cells; no gradient.

    Args:
        positions: Tensor[M, C]: the first counts[0] belong to the first video, and so on.
        support: The videos' support maps, T each.
        counts: Number of positions of each video.
        top_k: K.

    Returns:
        scores Tensor[T, M, K], best first, and indices Tensor[T, M, K] into the S * H * W rows.
    """
    with torch.no_grad():
        frames, cells = support.lengths[0], support.rows.shape[1]
        scores = positions.new_empty(frames, len(positions), top_k)
        indices = torch.empty(scores.shape, dtype=torch.long, device=scores.device)
        step = max(64, block_bytes(scores.device) // (cells * scores.element_size()))
        unit_positions = positions * inverse_norms(positions).unsqueeze(1)
        start, first_frame = 0, 0
        for count in counts:
            for frame in range(frames):
                current = first_frame + frame
                unit_rows = support.rows[current].to(positions.dtype)
                unit_rows = unit_rows * support.inverse_norms[current].unsqueeze(1)
                for low in range(start, start + count, step):
                    high = min(low + step, start + count)
                    cosines = unit_positions[low:high] @ unit_rows.t()
                    scores[frame, low:high], chosen = top_k_of_rows(cosines, top_k)
                    indices[frame, low:high] = chosen + current * cells
            start, first_frame = start + count, first_frame + frames
    return scores, indices


def most_similar(
    positions: Tensor, rows: Tensor, scores: Tensor, indices: Tensor, row_norms: Tensor
) -> tuple[Tensor, Tensor]:
    """Eq. 3 and 4 for chosen points, differentiable in `positions` and `rows`.

    Args:
        positions: Tensor[M, C], X_t at M RoI positions.
        rows: Tensor[S, P, C], the support maps.
        scores: Tensor[T, M, K], the cosines of the chosen points.
        indices: Tensor[T, M, K], the chosen points as indices into the S * P rows.
        row_norms: Tensor[S, P], inverse norms of `rows`.

    Returns:
        features Tensor[T, M, C] and scores Tensor[T, M, K].
    """
    return _MostSimilar.apply(positions, rows, scores, indices, row_norms)


class _MostSimilar(torch.autograd.Function):
    """The gradient of the cosine <x, f> / |x||f| is (f^ - cos x^) / |x| and (x^ - cos f^) / |f|.

    The sums over the chosen rows, and over the positions that chose a row, are embedding bags.
    """

    @staticmethod
    def forward(ctx, positions, rows, scores, indices, row_norms):
        weights = scores.softmax(dim=2)
        ctx.save_for_backward(positions, rows, scores, indices, row_norms, weights)
        ctx.set_materialize_grads(False)
        return weighted_rows(rows, indices, weights), scores.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_features, grad_scores):
        positions, rows, scores, indices, row_norms, weights = ctx.saved_tensors
        rows, row_norms = rows.flatten(0, 1), row_norms.flatten()
        grad_cosines = torch.zeros_like(scores) if grad_scores is None else grad_scores
        if grad_features is not None:
            grad_features = grad_features.flatten(0, 1)
            grad_weights = _products(grad_features, rows, indices.flatten(0, 1)).view_as(weights)
            mean = (grad_weights * weights).sum(dim=2, keepdim=True)
            grad_cosines = grad_cosines + weights * (grad_weights - mean)
        position_norms = inverse_norms(positions).unsqueeze(1)
        chosen_norms = row_norms[indices]
        pulls = grad_cosines * chosen_norms
        shrinks = grad_cosines * scores

        grad_positions = grad_rows = None
        if ctx.needs_input_grad[0]:
            toward = _bags(indices.transpose(0, 1).flatten(1), rows, pulls.transpose(0, 1))
            shrink = shrinks.sum(dim=(0, 2)).unsqueeze(1) * position_norms
            grad_positions = position_norms * (toward - shrink * positions)
        if ctx.needs_input_grad[1]:
            order = indices.flatten().argsort()
            hits = torch.bincount(indices.flatten(), minlength=len(rows))
            bags = {"offsets": hits.cumsum(0) - hits}
            chooser = torch.div(order, indices.shape[2], rounding_mode="floor")
            pulls = (pulls * position_norms).flatten()[order]
            grad_rows = _bags(chooser % len(positions), positions, pulls, **bags)
            shrink = torch.zeros_like(row_norms)
            shrink.index_add_(0, indices.flatten(), (shrinks * chosen_norms.square()).flatten())
            grad_rows.addcmul_(shrink.unsqueeze(1), rows, value=-1.0)
            if grad_features is not None:
                grad_rows += _bags(chooser, grad_features, weights.flatten()[order], **bags)
            grad_rows = grad_rows.view(ctx.saved_tensors[1].shape)
        return grad_positions, grad_rows, None, None, None


def _bags(indices: Tensor, rows: Tensor, weights: Tensor, offsets: Tensor | None = None) -> Tensor:
    """Weighted sums of rows: one for each row of `indices`, or for each of the `offsets`."""
    weights = weights.reshape(indices.shape)
    return F.embedding_bag(indices, rows, offsets, per_sample_weights=weights, mode="sum")


def weighted_rows(rows: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
    """Eq. 4: the chosen rows of Tensor[S, P, C], summed over K: Tensor[T, M, C]."""
    summed = _bags(indices.flatten(0, 1), rows.flatten(0, 1), weights)
    return summed.view(*indices.shape[:2], rows.shape[2])


def _products(vectors: Tensor, rows: Tensor, indices: Tensor) -> Tensor:
    """Inner products of `vectors` Tensor[M, C] with K rows each, `indices` Tensor[M, K]."""
    products = vectors.new_empty(indices.shape)
    bytes_of_one = indices.shape[1] * vectors.shape[1] * vectors.element_size()
    step = max(64, block_bytes(vectors.device) // max(bytes_of_one, 1))
    for low in range(0, len(vectors), step):
        part = slice(low, low + step)
        gathered = F.embedding(indices[part], rows)
        products[part] = gathered.mul_(vectors[part].unsqueeze(1)).sum(dim=2)
    return products


def aggregate(
    roi_features: Tensor,
    support: PackedSupport,
    counts: Sequence[int],
    top_k: int,
    num_heads: int,
    weight: Tensor | None,
    bias: Tensor | None,
    logit_scale: float,
) -> Tensor:
    """Temporal RoI features Tensor[R, C, h, w] of videos with equally many support frames.

    Args:
        roi_features: Tensor[R, C, h, w], video after video.
        support: The videos' support maps, T > 0 each.
        counts: Number of RoIs of each video; they sum to R.
        top_k: K.
        num_heads: N.
        weight: The attention's embedding, or None for the plain average.
        bias: Tensor[C] or None.
        logit_scale: Factor of the logits.
    """
    if not needs_grad(roi_features, support.rows, weight, bias):
        return _without_graph(
            roi_features, support, counts, top_k, num_heads, weight, bias, logit_scale
        )
    sets = roi_features.permute(0, 2, 3, 1).contiguous()
    area = sets.shape[1] * sets.shape[2]
    positions = sets.flatten(0, 2)
    scores, indices = select(positions, support, [count * area for count in counts], top_k)
    rows = support.rows.to(sets.dtype)
    similar, _ = most_similar(positions, rows, scores, indices, support.inverse_norms)
    similar = similar.view(-1, *sets.shape)
    if weight is None:
        output = (sets + similar.sum(dim=0)) / (len(similar) + 1)
    else:
        output, _ = attention(sets, similar, num_heads, weight, bias, logit_scale)
    return output.permute(0, 3, 1, 2)


def attention(
    sets: Tensor,
    support_sets: Tensor,
    num_heads: int,
    weight: Tensor,
    bias: Tensor | None,
    logit_scale: float,
) -> tuple[Tensor, Tensor]:
    """Eq. 5 to 8, channels last.

    Args:
        sets: Tensor[R, h, w, C], X_t.
        support_sets: Tensor[T, R, h, w, C].
        num_heads: N.
        weight: Tensor[C, C/N, 3, 3] or Tensor[C, C, 3, 3].
        bias: Tensor[C] or None.
        logit_scale: Factor of the logits.

    Returns:
        output Tensor[R, h, w, C] and weights Tensor[T+1, R, h, w, N].
    """
    by_head = sets.unflatten(-1, (num_heads, -1))
    support_by_head = support_sets.unflatten(-1, (num_heads, -1))
    target = embed(sets, weight, bias).view(by_head.shape)
    support = embed(support_sets.flatten(0, 1), weight, bias).view(support_by_head.shape)
    logits = torch.cat([(target * target).sum(-1).unsqueeze(0), (support * target).sum(-1)])
    weights = (logits * logit_scale).softmax(dim=0)
    output = weights[0].unsqueeze(-1) * by_head
    output = output + (weights[1:].unsqueeze(-1) * support_by_head).sum(dim=0)
    return output.flatten(-2), weights


def _without_graph(
    roi_features: Tensor,
    support: PackedSupport,
    counts: Sequence[int],
    top_k: int,
    num_heads: int,
    weight: Tensor | None,
    bias: Tensor | None,
    logit_scale: float,
) -> Tensor:
    """`aggregate` with a running softmax, so that a few frames at a time suffice."""
    sets = roi_features.permute(0, 2, 3, 1).contiguous()
    area = sets.shape[1] * sets.shape[2]
    frames = support.lengths[0]
    features_at_a_time = max(1, WORKSPACE_BYTES // (_COPIES * sets[0].nbytes))
    outputs = []
    for video, video_sets in enumerate(sets.split(counts)):
        for part in video_sets.split(features_at_a_time):
            running = _Running(part, num_heads, weight, bias, logit_scale)
            positions = part.flatten(0, 2)
            step = max(1, features_at_a_time // len(part))
            for low in range(0, frames, step):
                some = support.videos([video]).frames(slice(low, low + step))
                scores, indices = select(positions, some, [len(part) * area], top_k)
                rows = some.rows.to(sets.dtype)
                similar = weighted_rows(rows, indices, scores.softmax(dim=2))
                running.add(similar.view(-1, *part.shape))
            outputs.append(running.result())
    return torch.cat(outputs).permute(0, 3, 1, 2)


class _Running:
    """The attention, or the plain average, over sets that come a few at a time.

    The sum is kept relative to the highest logit so far and fades when a higher one comes.
    """

    def __init__(
        self,
        sets: Tensor,
        num_heads: int,
        weight: Tensor | None,
        bias: Tensor | None,
        logit_scale: float,
    ) -> None:
        self.num_heads, self.weight, self.bias = max(num_heads, 1), weight, bias
        self.scale = logit_scale
        self.total = sets.unflatten(-1, (self.num_heads, -1)).clone()
        self.mass = torch.ones_like(self.total[..., 0])
        if weight is not None:
            self.target = embed(sets, weight, bias).unflatten(-1, (self.num_heads, -1))
            self.highest = (self.target * self.target).sum(-1) * logit_scale

    def add(self, support_sets: Tensor) -> None:
        """Take in Tensor[T', R, h, w, C]."""
        by_head = support_sets.unflatten(-1, (self.num_heads, -1))
        if self.weight is None:
            self.total += by_head.sum(dim=0)
            self.mass += len(by_head)
            return
        embedded = embed(support_sets.flatten(0, 1), self.weight, self.bias).view_as(by_head)
        logits = (embedded * self.target).sum(-1) * self.scale
        highest = torch.maximum(self.highest, logits.amax(dim=0))
        fade = (self.highest - highest).exp_()
        weights = (logits - highest).exp_()
        self.highest = highest
        self.mass = self.mass * fade + weights.sum(dim=0)
        self.total *= fade.unsqueeze(-1)
        self.total += (weights.unsqueeze(-1) * by_head).sum(dim=0)

    def result(self) -> Tensor:
        """Tensor[R, h, w, C]."""
        return (self.total / self.mass.unsqueeze(-1)).flatten(-2)


def embed(sets: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """psi: Tensor[R, h, w, C] to the same, a 3x3 convolution in groups or dense."""
    groups = sets.shape[-1] // weight.shape[1]
    embedded = F.conv2d(sets.permute(0, 3, 1, 2), weight, bias, padding=1, groups=groups)
    return embedded.permute(0, 2, 3, 1).contiguous()
