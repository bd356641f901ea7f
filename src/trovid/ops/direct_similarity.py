"""The direct backend's choice of points and its most similar features.

The choice carries no gradient; what follows it is differentiated by hand, so that neither the
similarity volume nor the K gathered vectors are ever kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.ops.packed import PackedSupport, inverse_norms
from trovid.ops.top_k import top_k_of_rows


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
    @staticmethod
    def forward(ctx, positions, rows, scores, indices, row_norms):
        ctx.save_for_backward(positions, rows, scores, indices, row_norms)
        ctx.set_materialize_grads(False)
        return weighted_rows(rows, indices, scores.softmax(dim=2)), scores.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_features, grad_scores):
        gradients = most_similar_gradient(grad_features, grad_scores, *ctx.saved_tensors)
        return *gradients, None, None, None


def most_similar_gradient(
    grad_features: Tensor | None,
    grad_scores: Tensor | None,
    positions: Tensor,
    rows: Tensor,
    scores: Tensor,
    indices: Tensor,
    row_norms: Tensor,
) -> tuple[Tensor, Tensor]:
    """Gradients of `positions` and `rows` from those of the two results of `most_similar`.

    The gradient of the cosine <x, f> / |x||f| is (f^ - cos x^) / |x| and (x^ - cos f^) / |f|. The
    sums over the chosen rows, and over the positions that chose a row, are embedding bags.
    """
    weights, shape = scores.softmax(dim=2), rows.shape
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

    toward = _bags(indices.transpose(0, 1).flatten(1), rows, pulls.transpose(0, 1))
    shrink = shrinks.sum(dim=(0, 2)).unsqueeze(1) * position_norms
    grad_positions = position_norms * (toward - shrink * positions)

    order = indices.flatten().argsort(stable=True)
    hits = torch.bincount(indices.flatten(), minlength=len(rows))
    bags = {"offsets": hits.cumsum(0) - hits}
    chooser = torch.div(order, indices.shape[2], rounding_mode="floor")
    pulls = (pulls * position_norms).flatten()[order]
    grad_rows = _bags(chooser % len(positions), positions, pulls, **bags)
    shrinks = (shrinks * chosen_norms.square()).view(-1, 1)
    shrink = F.embedding_bag(order, shrinks, bags["offsets"], mode="sum")
    grad_rows.addcmul_(shrink, rows, value=-1.0)
    if grad_features is not None:
        grad_rows += _bags(chooser, grad_features, weights.flatten()[order], **bags)
    return grad_positions, grad_rows.view(shape)


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
