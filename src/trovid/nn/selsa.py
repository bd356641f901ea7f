"""SELSA: attention over the proposals of support frames (Wu et al., ICCV 2019).

Beside it the fully connected layer that it and the box head are made of. Both may be computed by
oneDNN at inference, which the plain way stands beside.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trovid.nn.inference_form import InferenceForm
from trovid.ops.checks import is_exporting

SCORES = 2**21
"""Of the attention's scores that oneDNN has there at once, so that they lie in the cache."""


class Linear(nn.Linear):
    """A fully connected layer on what lies behind the first axis.

    Attributes:
        onednn: Whether oneDNN computes it, in float32 and without a gradient.
    """

    onednn = False

    def inference_form(self, form: InferenceForm) -> Linear:
        """See `trovid.nn.inference_form`."""
        self.onednn = form.onednn
        return self

    def forward(self, input: Tensor) -> Tensor:
        """Tensor[R, ...], flattened to Tensor[R, D_in], to Tensor[R, D]."""
        x = input.flatten(1)
        plain = not self.onednn or x.dtype != torch.float32 or torch.compiler.is_compiling()
        if plain or not len(x):
            return super().forward(x)
        return _product(x.contiguous(), self.weight, self.bias)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias` by oneDNN: contiguous Tensor[M, K] and Tensor[N, K] in float32."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def attend(queries: Tensor, keys: Tensor, values: Tensor, num_heads: int) -> Tensor:
    """softmax(q k / sqrt(d)) v in each head.

    Args:
        queries: Tensor[R, D], the D / num_heads channels of each head side by side.
        keys: Tensor[P, D].
        values: Tensor[P, D].
        num_heads: Heads.

    Returns:
        Tensor[R, D].
    """
    q, k, v = (
        t.to(queries.dtype).unflatten(-1, (num_heads, -1)).movedim(-2, -3)[None]
        for t in (queries, keys, values)
    )
    if is_exporting():  # the fused call asks whether there are boxes, which a graph cannot know
        found = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1) @ v
    else:
        found = F.scaled_dot_product_attention(q, k, v)
    return found[0].movedim(-3, -2).flatten(-2)


def attend_by_onednn(
    queries: Tensor, keys: Tensor, values: Tensor, num_heads: int, *, scores_at_once: int = SCORES
) -> Tensor:
    """As `attend`, in float32 and with at least one key; no gradient."""
    split = keys.unflatten(1, (num_heads, -1)).movedim(1, 0).contiguous()
    transposed = values.t().contiguous().unflatten(0, (num_heads, -1))
    gathered = torch.empty_like(queries)
    heads = queries.unflatten(1, (num_heads, -1)), gathered.unflatten(1, (num_heads, -1))
    step = max(1, scores_at_once // len(keys))
    for head in range(num_heads):
        for first in range(0, len(queries), step):
            rows, result = (part[first : first + step, head] for part in heads)
            scores = _product((rows * rows.shape[1] ** -0.5).contiguous(), split[head])
            result.copy_(_product(scores.softmax(-1), transposed[head]))
    return gathered


class SelsaAttention(nn.Module):
    """softmax(q k / sqrt(d)) v over support proposals, multi-headed, without the residual.

    The support side (`keys_values`) depends on support frames alone, so a Support keeps it.

    Queries and keys start as half the features themselves, and the output as 0.3 of what was
    gathered: from the first step on a proposal looks at those that resemble it, and what it gathers
    lies in the features' own space. With usual random values the attention starts uniform over all
    proposals, most of them background, and takes long to find the object.

    Args:
        dim: Width D of the features.
        num_heads: Heads, each of D / num_heads channels.

    Attributes:
        attend: The attention itself, from queries, keys, values and the number of heads.

    Raises:
        ValueError: If `dim` is not divisible by `num_heads`.
    """

    def __init__(self, dim: int, num_heads: int = 16) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"`dim` must be divisible by `num_heads`, but got {dim} / {num_heads}")
        self.num_heads = num_heads
        self.attend = attend
        self.query = Linear(dim, dim)
        self.key = Linear(dim, dim)
        self.value = Linear(dim, dim)
        self.output = Linear(dim, dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the initial values."""
        scales = ((self.query, 0.5), (self.key, 0.5), (self.value, 1.0), (self.output, 0.3))
        for layer, scale in scales:
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)
            with torch.no_grad():
                layer.weight.mul_(scale)

    def inference_form(self, form: InferenceForm) -> SelsaAttention:
        """See `trovid.nn.inference_form`."""
        if form.onednn:
            self.attend = attend_by_onednn
        for layer in (self.query, self.key, self.value, self.output):
            layer.inference_form(form)
        return self

    def keys_values(self, support_features: Tensor) -> tuple[Tensor, Tensor]:
        """Tensor[P, D] of support features to keys and values, each Tensor[P, D]."""
        return self.key(support_features), self.value(support_features)

    def weights(self, x: Tensor, keys: Tensor) -> Tensor:
        """The attention that `forward` sums values by, for those who want to see it.

        Args:
            x: See `forward`.
            keys: See `forward`.

        Returns:
            Tensor[N, R, P], of each head.
        """
        q, k = (t.unflatten(-1, (self.num_heads, -1)).movedim(1, 0) for t in (self.query(x), keys))
        return (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """What each proposal gathers from the support proposals.

        Args:
            x: Tensor[R, D] of the target frame's proposals.
            keys: Tensor[P, D] of `keys_values`.
            values: Tensor[P, D] of `keys_values`.

        Returns:
            Tensor[R, D]; zeros where there is no support proposal.
        """
        if not torch.compiler.is_compiling() and (len(keys) == 0 or len(x) == 0):
            return x.new_zeros(x.shape)
        return self.output(self.attend(self.query(x), keys, values, self.num_heads))
