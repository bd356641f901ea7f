"""Temporal attention: how much each frame counts, per RoI position and group of channels."""

from __future__ import annotations

import torch
from torch import Tensor

from trovid.ops.checks import check_attention, check_maps, refuse_forward_mode
from trovid.ops.temporal_roi_align import reference
from trovid.ops.temporal_roi_align.backends import resolve_backend
from trovid.ops.temporal_roi_align.direct.attention import attention
from trovid.ops.temporal_roi_align.packed import compute_dtype


def temporal_attention(
    features: Tensor,
    support_features: Tensor,
    *,
    num_heads: int,
    weight: Tensor,
    bias: Tensor | None = None,
    logit_scale: float = 1.0,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Attention over the T+1 sets of RoI features {X_t, X_{t+i}}.

    Eq. 5 to 8: an embedding by a 3x3 convolution, inner products with the target's own in N
    groups of channels, a softmax over the T+1 sets, the weighted sum of the original features.

    Args:
        features: Tensor[R, C, h, w], X_t.
        support_features: Tensor[T, R, C, h, w], X_{t+i} from `most_similar_roi_align`.
        num_heads: N, divides C.
        weight: Tensor[C, C/N, 3, 3] (one embedding a group, as in the paper) or
            Tensor[C, C, 3, 3] (dense, as in the published code), as conv2d takes it.
        bias: Tensor[C] or None.
        logit_scale: Factor of the logits (1 in the paper).
        backend: See `temporal_roi_align`; here all but "reference" are the direct one.

    Returns:
        output: Tensor[R, C, h, w] in the dtype of `features`.
        weights: Tensor[T+1, R, N, h, w], the target's own first (float32, or float64 for float64
            input).

    Raises:
        ValueError: If a shape does not fit.

    Example:
        >>> output, weights = temporal_attention(
        ...     torch.rand(3, 8, 7, 7), torch.rand(2, 3, 8, 7, 7), num_heads=4,
        ...     weight=torch.rand(8, 2, 3, 3),
        ... )
        >>> output.shape, weights.shape
        (torch.Size([3, 8, 7, 7]), torch.Size([3, 3, 4, 7, 7]))
    """
    check_maps("features", features, "[R, C, h, w]")
    check_maps("support_features", support_features, "[T, R, C, h, w]")
    refuse_forward_mode(features, support_features, weight, bias)
    if support_features.shape[1:] != features.shape:
        raise ValueError(
            f"`support_features` must have shape {['T', *features.shape]}, "
            f"but got {list(support_features.shape)}"
        )
    if num_heads < 1:
        raise ValueError(f"`num_heads` must be at least 1, but is {num_heads}")
    check_attention(num_heads, weight, bias, features.shape[1])
    backend = resolve_backend(backend, features.to(compute_dtype(features.dtype)))
    dtype = compute_dtype(features.dtype)
    with torch.autocast(features.device.type, enabled=False):
        sets, others, weight = features.to(dtype), support_features.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
        if backend == "reference":
            output, weights = reference.temporal_attention(
                sets, others, num_heads, weight, bias, logit_scale
            )
        else:
            output, weights = attention(
                sets.permute(0, 2, 3, 1).contiguous(),
                others.permute(0, 1, 3, 4, 2).contiguous(),
                num_heads,
                weight,
                bias,
                logit_scale,
            )
            output, weights = output.permute(0, 3, 1, 2), weights.permute(0, 1, 4, 2, 3)
    return output.to(features.dtype), weights
