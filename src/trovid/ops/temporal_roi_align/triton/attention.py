"""The temporal attention with psi absorbed into the target, forward and backward.

A logit <psi(Y), psi(X_t)> is <Y, psi^T psi(X_t)>: psi is applied to the target alone, once forward
and once transposed, and never to the T sets. The products are torch's; what reads the sets is in
`sets`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.ops.temporal_roi_align.triton.sets import Sets, mix, neighbour_products, spread


class Embedding(NamedTuple):
    """psi as matrices.

    N heads lie in G groups of D channels: one head a group (grouped), or all in one (dense).

    Attributes:
        matrix: Tensor[G, C/G, 9 * D], from the 3x3 neighbours of D channels.
        bias: Tensor[N, 1, C/N], or None.
        heads: N.
        scale: Factor of the logits.
    """

    matrix: Tensor
    bias: Tensor | None
    heads: int
    scale: float

    @classmethod
    def of(cls, heads: int, weight: Tensor, bias: Tensor | None, scale: float) -> Embedding:
        """From a convolution's weight Tensor[C, D, 3, 3] and bias Tensor[C]."""
        channels, width = weight.shape[:2]
        matrix = weight.permute(0, 2, 3, 1).reshape(channels // width, -1, 9 * width)
        by_head = None if bias is None else bias.view(heads, 1, -1)
        return cls(matrix, by_head, heads, scale)

    @property
    def width(self) -> int:
        """D."""
        return self.matrix.shape[2] // 9

    @property
    def matrix_of_heads(self) -> Tensor:
        """Tensor[N, C/N, 9 * D]."""
        return self.matrix.reshape(self.heads, -1, self.matrix.shape[2])

    def to_heads(self, vectors: Tensor) -> Tensor:
        """Tensor[N, M, C/N] of Tensor[G, M, C/G]."""
        per_group = self.heads // len(vectors)
        return vectors.unflatten(2, (per_group, -1)).transpose(1, 2).flatten(0, 1).contiguous()

    def to_groups(self, vectors: Tensor) -> Tensor:
        """Tensor[G, M, C/G] of Tensor[N, M, C/N]."""
        return vectors.unflatten(0, (len(self.matrix), -1)).transpose(1, 2).flatten(2)


class _Target(NamedTuple):
    """The target's side at M positions.

    Attributes:
        columns: Tensor[G, M, 9 * D], the 3x3 neighbours of each position.
        embedded: Tensor[N, M, C/N], psi(X_t).
        absorbed: Tensor[N, M, 9, D], psi^T psi(X_t).
    """

    columns: Tensor
    embedded: Tensor
    absorbed: Tensor


def attend(features: Tensor, sets: Sets, embedding: Embedding) -> Tensor:
    """Eq. 5 to 8: Tensor[R, h, w, C] of X_t, Tensor[R, h, w, C], and the sets at its positions."""
    weights, _ = _weights(features, sets, embedding)
    values = _by_head(features, embedding.heads)
    mixed = mix(sets, weights[1:], values.shape[2]).squeeze(2)
    return _from_heads(mixed + weights[0].unsqueeze(2) * values).view_as(features)


class AttentionGradients(NamedTuple):
    """Gradients of `attend`.

    Attributes:
        features: Tensor[R, h, w, C].
        sets: Tensor[T, M, C], of what the sets sum up to.
        matrix: Tensor[G, C/G, 9 * D].
        bias: Tensor[C].
    """

    features: Tensor
    sets: Tensor
    matrix: Tensor
    bias: Tensor


def attend_gradient(
    grad_output: Tensor, features: Tensor, sets: Sets, embedding: Embedding
) -> AttentionGradients:
    """From the gradient of the result, Tensor[R, h, w, C], contiguous."""
    weights, target = _weights(features, sets, embedding)
    values, grad = (_by_head(t, embedding.heads) for t in (features, grad_output))

    grad_weights = neighbour_products(sets, grad.unsqueeze(2))
    grad_weights = torch.cat([(values * grad).sum(dim=2).unsqueeze(0), grad_weights])
    mean = (grad_weights * weights).sum(dim=0)
    grad_logits = weights * (grad_weights - mean) * embedding.scale

    grad_sets = spread(
        target.absorbed, grad_logits[1:], weights[1:], grad_output.flatten(0, 2), sets.grid
    )
    grad_absorbed = mix(sets, grad_logits[1:], embedding.width, neighbours=True).flatten(2)
    grad_embedded = grad_absorbed @ embedding.matrix_of_heads.mT
    grad_embedded += 2 * grad_logits[0].unsqueeze(2) * target.embedded
    of_supports = grad_logits[1:].sum(dim=0).unsqueeze(2)
    if embedding.bias is not None:
        grad_embedded += of_supports * embedding.bias
    grad_bias = (grad_embedded + of_supports * target.embedded).sum(dim=1).flatten()

    grouped = embedding.to_groups(grad_embedded)
    grad_matrix = (target.embedded.mT @ grad_absorbed).view_as(embedding.matrix)
    grad_matrix += grouped.mT @ target.columns
    grad_features = _from_heads(weights[0].unsqueeze(2) * grad).view_as(features)
    grad_features += _fold(grouped @ embedding.matrix, features.shape)
    return AttentionGradients(grad_features, grad_sets, grad_matrix, grad_bias)


def _weights(features: Tensor, sets: Sets, embedding: Embedding) -> tuple[Tensor, _Target]:
    """The attention's weights, Tensor[T+1, N, M], the target's own first."""
    columns = _unfold(features, embedding.width)
    embedded = embedding.to_heads(columns @ embedding.matrix.mT)
    if embedding.bias is not None:
        embedded = embedded + embedding.bias
    absorbed = (embedded @ embedding.matrix_of_heads).unflatten(2, (9, -1))
    logits = neighbour_products(sets, absorbed)
    if embedding.bias is not None:
        logits += (embedded * embedding.bias).sum(dim=2)
    logits = torch.cat([embedded.square().sum(dim=2).unsqueeze(0), logits])
    return (logits * embedding.scale).softmax(dim=0), _Target(columns, embedded, absorbed)


def _by_head(features: Tensor, heads: int) -> Tensor:
    """Tensor[N, M, C/N] of Tensor[R, h, w, C]."""
    return features.flatten(0, 2).unflatten(1, (heads, -1)).transpose(0, 1).contiguous()


def _from_heads(vectors: Tensor) -> Tensor:
    """Tensor[M, C] of Tensor[N, M, C/N]."""
    return vectors.transpose(0, 1).flatten(1)


def _unfold(features: Tensor, width: int) -> Tensor:
    """The 3x3 neighbours, zero outside: Tensor[G, M, 9 * D] of Tensor[R, h, w, C]."""
    height, length = features.shape[1:3]
    padded = F.pad(features, (0, 0, 1, 1, 1, 1))
    shifted = [
        padded[:, y : y + height, x : x + length].unflatten(3, (-1, width))
        for y in range(3)
        for x in range(3)
    ]
    return torch.stack(shifted, dim=4).flatten(4).flatten(0, 2).transpose(0, 1).contiguous()


def _fold(columns: Tensor, shape: torch.Size) -> Tensor:
    """The gradient of `_unfold`."""
    rois, height, length, _ = shape
    parts = columns.transpose(0, 1).reshape(rois, height, length, len(columns), 9, -1)
    padded = columns.new_zeros(rois, height + 2, length + 2, shape[3])
    for offset in range(9):
        y, x = divmod(offset, 3)
        padded[:, y : y + height, x : x + length] += parts[..., offset, :].flatten(3)
    return padded[:, 1:-1, 1:-1]
