"""Non-local attention: every query over all keys, or over the K that fit it best.

Wang et al., Non-local Neural Networks, 2018 (embedded Gaussian). The weights of all queries over
all keys are never held at once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LOGITS_AT_ONCE = 2**24
"""Of the search for the best K; 64 MiB in float32."""


def non_local(queries: Tensor, keys: Tensor, values: Tensor, *, top_k: int | None = None) -> Tensor:
    """softmax(q k / sqrt(D)) v, over all keys or over the K of the highest logits.

    Args:
        queries: Tensor[P, D].
        keys: Tensor[S, D].
        values: Tensor[S, E].
        top_k: K, how many weights are kept; the softmax goes over these. None for all.

    Returns:
        Tensor[P, E]; zeros where there is no key.

    Raises:
        ValueError: If a shape does not fit or `top_k` is not in 1..S.

    Example:
        >>> keys = torch.rand(600, 8)
        >>> non_local(torch.rand(49, 8), keys, keys, top_k=4).shape
        torch.Size([49, 8])
    """
    _check(queries, keys, values, top_k)
    if top_k is None:
        if not (len(queries) and len(keys)):
            return _nothing(queries, keys, values)
        q, k, v = (tensor[None, None] for tensor in (queries, keys, values))
        return F.scaled_dot_product_attention(q, k, v)[0, 0]
    places = best_keys(queries, keys, top_k)
    logits = torch.einsum("pd,pkd->pk", queries, keys[places]) * queries.shape[1] ** -0.5
    return torch.einsum("pk,pke->pe", logits.softmax(-1), values[places])


@torch.no_grad()
def best_keys(
    queries: Tensor, keys: Tensor, top_k: int, *, logits_at_once: int = LOGITS_AT_ONCE
) -> Tensor:
    """The K keys of the highest logits, best first, int64 Tensor[P, K]; some queries at a time."""
    if torch.compiler.is_compiling():
        return (queries @ keys.t()).topk(top_k, dim=1).indices
    step = max(1, logits_at_once // max(len(keys), 1))
    found = [(part @ keys.t()).topk(top_k, dim=1).indices for part in queries.split(step)]
    return torch.cat(found)


def non_local_reference(
    queries: Tensor, keys: Tensor, values: Tensor, *, top_k: int | None = None
) -> Tensor:
    """The equation as written, with all weights at once; see `non_local`."""
    _check(queries, keys, values, top_k)
    logits = queries @ keys.t() * queries.shape[1] ** -0.5
    if top_k is not None:
        lowest = logits.detach().sort(dim=1, descending=True).values[:, top_k - 1 : top_k]
        logits = logits.masked_fill(logits.detach() < lowest, -torch.inf)
    weights = logits.softmax(1) if len(keys) else logits
    return weights @ values


def _nothing(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Zeros that hang on the graph of all three."""
    parts = (queries[:0].sum(), keys[:0].sum(), values[:0].sum())
    return torch.stack(parts).sum().expand(len(queries), values.shape[1])


def _check(queries: Tensor, keys: Tensor, values: Tensor, top_k: int | None) -> None:
    if queries.dim() != 2 or keys.dim() != 2 or queries.shape[1] != keys.shape[1]:
        raise ValueError(
            "`queries` and `keys` must have shapes [P, D] and [S, D], but got "
            f"{list(queries.shape)} and {list(keys.shape)}"
        )
    if values.dim() != 2 or len(values) != len(keys):
        raise ValueError(f"`values` must have shape [{len(keys)}, E], but got {list(values.shape)}")
    if top_k is not None and not 1 <= top_k <= len(keys):
        raise ValueError(f"`top_k` must lie in 1..{len(keys)}, the number of keys, but is {top_k}")
