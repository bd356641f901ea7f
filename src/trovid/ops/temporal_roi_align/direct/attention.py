"""The direct backend's temporal attention and its gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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
    embedded = embed(sets, weight, bias).view(by_head.shape)
    others = embed(support_sets.flatten(0, 1), weight, bias).view(support_by_head.shape)
    logits = torch.cat([(embedded * embedded).sum(-1).unsqueeze(0), (others * embedded).sum(-1)])
    weights = (logits * logit_scale).softmax(dim=0)
    output = weights[0].unsqueeze(-1) * by_head
    output = output + (weights[1:].unsqueeze(-1) * support_by_head).sum(dim=0)
    return output.flatten(-2), weights


def attention_gradient(
    grad_output: Tensor,
    sets: Tensor,
    support_sets: Tensor,
    num_heads: int,
    weight: Tensor,
    bias: Tensor | None,
    logit_scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `attention`'s sets, support sets, weight and bias (whether given or not).

    Args:
        grad_output: Tensor[R, h, w, C].
        sets: See `attention`, as all that follow.
        support_sets: Tensor[T, R, h, w, C].
        num_heads: N.
        weight: The embedding's weight.
        bias: Tensor[C] or None.
        logit_scale: Factor of the logits.
    """
    every = torch.cat([sets.unsqueeze(0), support_sets]).flatten(0, 1)
    embedded = embed(every, weight, bias).view(-1, *sets.shape).unflatten(-1, (num_heads, -1))
    by_head = every.view(-1, *sets.shape).unflatten(-1, (num_heads, -1))
    grad_by_head = grad_output.unflatten(-1, (num_heads, -1))
    weights = ((embedded * embedded[0]).sum(-1) * logit_scale).softmax(dim=0).unsqueeze(-1)

    grad_weights = (by_head * grad_by_head).sum(-1, keepdim=True)
    mean = (grad_weights * weights).sum(dim=0)
    grad_logits = weights * (grad_weights - mean) * logit_scale
    grad_embedded = grad_logits * embedded[0]
    grad_embedded[0] += (grad_logits * embedded).sum(dim=0)
    grad_every, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
        grad_embedded.flatten(-2).flatten(0, 1).permute(0, 3, 1, 2),
        every.permute(0, 3, 1, 2),
        weight,
        [len(weight)],
        [1, 1],
        [1, 1],
        [1, 1],
        False,
        [0, 0],
        sets.shape[-1] // weight.shape[1],
        [True, True, True],
    )
    grad_every = grad_every.permute(0, 2, 3, 1).view(-1, *sets.shape)
    grad_every += (weights * grad_by_head).flatten(-2)
    return grad_every[0], grad_every[1:], grad_weight, grad_bias


def embed(sets: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """psi: Tensor[R, h, w, C] to the same, a 3x3 convolution in groups or dense."""
    groups = sets.shape[-1] // weight.shape[1]
    embedded = F.conv2d(sets.permute(0, 3, 1, 2), weight, bias, padding=1, groups=groups)
    return embedded.permute(0, 2, 3, 1).contiguous()
