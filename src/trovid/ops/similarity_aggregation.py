"""Aggregation of whole maps by similarity, place by place (FGFA without its flow).

Zhu et al., Flow-Guided Feature Aggregation for Video Object Detection, 2017, Eq. 2 and 3.
"""

from __future__ import annotations

from torch import Tensor

from trovid.ops.checks import check_maps


def similarity_aggregation(maps: Tensor, embedded: Tensor, current: Tensor) -> Tensor:
    """sum_i w_i maps_i, w = softmax over i of the cosine of the embeddings, at each place.

    There is no epsilon in the norms (published code), so a place of zero embedding is NaN.

    Args:
        maps: Tensor[T, C, H, W], what is summed.
        embedded: Tensor[T, E, H, W], their embeddings.
        current: Tensor[E, H, W], the embedding of the frame that they are compared with.

    Returns:
        Tensor[C, H, W].

    Raises:
        ValueError: If a shape does not fit.

    Example:
        >>> import torch
        >>> maps = torch.rand(5, 8, 20, 30)
        >>> similarity_aggregation(maps, maps, maps[2]).shape
        torch.Size([8, 20, 30])
    """
    check_maps("maps", maps, "[T, C, H, W]")
    check_maps("embedded", embedded, "[T, E, H, W]")
    wanted = [len(maps), embedded.shape[1], *maps.shape[2:]]
    if list(embedded.shape) != wanted or list(current.shape) != wanted[1:]:
        raise ValueError(
            f"`embedded` and `current` must have shapes {wanted} and {wanted[1:]}, but got "
            f"{list(embedded.shape)} and {list(current.shape)}"
        )
    weights = similarities(embedded, current).softmax(0)
    return (weights.unsqueeze(1) * maps).sum(0)


def similarities(embedded: Tensor, current: Tensor) -> Tensor:
    """The cosines Tensor[T, H, W] that `similarity_aggregation` weighs by; see there."""
    norms = embedded.norm(dim=1) * current.norm(dim=0)
    return (embedded * current).sum(1) / norms
