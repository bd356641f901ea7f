"""The direct backend's selection of points and its most similar features.

The selection carries no gradient; what follows it is differentiated by hand, so that neither the
similarity volume nor the K gathered vectors are ever kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.ops.temporal_roi_align.direct.cell_reads import CellReads
from trovid.ops.temporal_roi_align.direct.prefixes import by_most_promising, prefixes_for
from trovid.ops.temporal_roi_align.direct.products import (
    block_bytes,
    chosen_products,
    row_products,
)
from trovid.ops.temporal_roi_align.direct.squares import by_squares
from trovid.ops.temporal_roi_align.direct.top_k import top_k_of_rows
from trovid.ops.temporal_roi_align.packed import inverse_norms
from trovid.ops.temporal_roi_align.prefixes import Prefixes


def select(
    positions: Tensor,
    rows: Tensor,
    row_norms: Tensor,
    counts: Sequence[int],
    top_k: int,
    reads: Sequence[CellReads | None] | None = None,
    search: tuple[int, int, int] = (1, 1, 1),
    block: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Eq. 2: cosines and indices of the K most similar cells; no gradient.

    Args:
        positions: Tensor[M, C]: the first counts[0] belong to the first video, and so on.
        rows: Tensor[S, P, C], the videos' support maps, T each.
        row_norms: Tensor[S, P], inverse norms of `rows`.
        counts: Number of positions of each video.
        top_k: K.
        reads: For each video, where known, the cells of its target map that its positions are
            made of. RoIAlign being linear, the similarities are then combined from those of these
            cells, which are fewer; but not where a value is infinite or NaN, which a product of
            its own passes on to everything that it reaches.
        search: Width of a map, side of its largest squares (1: exact search), how many are kept.
        block: Bytes of a block of products; None for `block_bytes`.

    Returns:
        scores Tensor[T, M, K], best first, and indices Tensor[T, M, K] into the S * P rows.
    """
    block = block or block_bytes(positions.device)
    with torch.no_grad():
        frames, cells = len(rows) // len(counts), rows.shape[1]
        scores = positions.new_empty(frames, len(positions), top_k)
        indices = torch.empty(scores.shape, dtype=torch.long, device=scores.device)
        norms = inverse_norms(positions)
        start, first_frame = 0, 0
        for video, count in enumerate(counts):
            span = slice(start, start + count)
            read = reads[video] if reads and _all_finite(positions[span]) else None
            units = positions[span] * norms[span].unsqueeze(1)
            prefixes = None
            for frame in range(first_frame, first_frame + frames):
                one = rows[frame].to(positions.dtype), row_norms[frame], top_k
                coarse = search[1] > 1
                if frame == first_frame and not coarse:
                    prefixes = prefixes_for(units, one[0] * one[1].unsqueeze(1), top_k)
                if coarse:
                    found = by_squares(units, one[0] * one[1].unsqueeze(1), top_k, search)
                elif prefixes and _all_finite(one[0]):
                    found = _by_prefixes(units, prefixes, *one, block)
                elif read is None or not _all_finite(one[0]):
                    found = _by_positions(positions[span], norms[span], *one, block)
                else:
                    found = _by_cells(read, norms[span], *one, block)
                scores[frame - first_frame, span] = found[0]
                indices[frame - first_frame, span] = found[1] + frame * cells
            start, first_frame = start + count, first_frame + frames
    return scores, indices


def _all_finite(values: Tensor) -> bool:
    return bool(values.sum().isfinite())


def _by_prefixes(
    units: Tensor, prefixes: Prefixes, rows: Tensor, row_norms: Tensor, top_k: int, block: int
) -> tuple[Tensor, Tensor]:
    """Every position by its most promising rows, and where these do not prove it by all."""
    unit_rows = rows * row_norms.unsqueeze(1)
    parts = []
    step = max(64, 4 * block // (len(rows) * rows.element_size()))
    for some in units.split(step):
        scores, indices, proven = by_most_promising(prefixes, some, unit_rows, top_k)
        left = (~proven).nonzero().squeeze(1)
        if len(left):
            scores[left], indices[left] = top_k_of_rows(row_products(some[left], unit_rows), top_k)
        parts.append((scores, indices))
    return _joined(parts, 0)


def _by_positions(
    positions: Tensor, norms: Tensor, rows: Tensor, row_norms: Tensor, top_k: int, block: int
) -> tuple[Tensor, Tensor]:
    """Every position with every row of one support map, some positions at a time."""
    few = len(positions) < rows.shape[1]
    unit_positions = positions * norms.unsqueeze(1)
    unit_rows = rows if few else rows * row_norms.unsqueeze(1)
    parts = []
    step = max(64, 4 * block // (len(rows) * rows.element_size()))
    for some in unit_positions.split(step):
        cosines = row_products(some, unit_rows)
        parts.append(top_k_of_rows(cosines.mul_(row_norms) if few else cosines, top_k))
    return _joined(parts, 0)


def _by_cells(
    read: CellReads, norms: Tensor, rows: Tensor, row_norms: Tensor, top_k: int, block: int
) -> tuple[Tensor, Tensor]:
    """Every cell that is read with every row, then a weighted sum of cells for each position.

    Rows come in blocks such that one block's products stay small, positions in blocks such that
    their similarities stay in the cache; the best of each block of rows compete in the end.
    """
    weights = read.weights * norms[read.position]
    unit_rows = rows * row_norms.unsqueeze(1)
    size = rows.element_size()
    width = max(top_k, 8 * block // (len(read.rows) * size))
    starts = list(range(0, max(1, len(rows) - top_k + 1), width))
    ends = [*starts[1:], len(rows)]
    step = max(64, block // (max(map(int.__sub__, ends, starts)) * size))
    blocks = []
    for low, high in zip(starts, ends, strict=True):
        products = row_products(read.rows, unit_rows[low:high])
        parts = []
        for first in range(0, len(norms), step):
            last = min(first + step, len(norms))
            entries = slice(read.bounds[first], read.bounds[last])
            cosines = F.embedding_bag(
                read.cell[entries],
                products,
                read.offsets[first:last] - read.bounds[first],
                per_sample_weights=weights[entries],
                mode="sum",
            )
            parts.append(top_k_of_rows(cosines, top_k))
        scores, indices = _joined(parts, 0)
        blocks.append((scores, indices + low))
    if len(blocks) == 1:
        return blocks[0]
    scores, indices = _joined(blocks, 1)
    scores, places = top_k_of_rows(scores, top_k)
    return scores, indices.gather(1, places)


def _joined(parts: Sequence[tuple[Tensor, Tensor]], dim: int) -> tuple[Tensor, Tensor]:
    scores, indices = zip(*parts, strict=True)
    return torch.cat(scores, dim), torch.cat(indices, dim)


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
        grad_weights = chosen_products(grad_features, rows, indices.flatten(0, 1)).view_as(weights)
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
