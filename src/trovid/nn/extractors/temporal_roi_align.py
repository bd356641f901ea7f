"""Temporal RoI Align (Gong et al., AAAI 2021) as a module that owns its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.fx import Proxy

from trovid.nn.extractors.contract import Extractor, Sight
from trovid.nn.tracing import one_node
from trovid.ops import (
    PackedSupport,
    most_similar_roi_align,
    temporal_attention,
    temporal_roi_align,
)
from trovid.ops.checks import check_search_name, check_size
from trovid.ops.temporal_roi_align import reference
from trovid.ops.temporal_roi_align.api import NO_TORCHSCRIPT


class TemporalAttentionEmbedding(nn.Module):
    """The 3x3 embedding psi of the temporal attention (Eq. 6): weights only.

    The weights start normally distributed with a deviation of 0.01, and less for many channels,
    such that the target's own logit, a sum of C/N squares, is at most about the mean square of the
    features. So the attention starts near the plain average over the T+1 frames and every frame
    gets a gradient; with usual initial values that logit outweighs all others and the softmax
    saturates on the target.

    Args:
        channels: C.
        num_heads: N, divides C.
        embedding: "grouped" (one psi a group, the paper) or "dense" (the published code).
        bias: Whether psi has a bias; it starts at zero.
        logit_scale: Factor of the logits, for the initial values.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int = 4,
        embedding: str = "grouped",
        bias: bool = True,
        logit_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if num_heads < 1 or channels % num_heads:
            raise ValueError(f"`num_heads` must divide the {channels} channels, but is {num_heads}")
        if embedding not in ("grouped", "dense"):
            raise ValueError(f"`embedding` must be 'grouped' or 'dense', but is {embedding!r}")
        inputs = channels // num_heads if embedding == "grouped" else channels
        self.weight = nn.Parameter(torch.empty(channels, inputs, 3, 3))
        self.bias = nn.Parameter(torch.empty(channels)) if bias else None
        self._squares = inputs * 9 * (channels // num_heads) * abs(logit_scale)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the initial values."""
        nn.init.normal_(self.weight, std=min(0.01, max(self._squares, 1.0) ** -0.5))
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class TemporalRoIAlign(Extractor):
    """Temporal RoI Align on one map; see `trovid.ops.temporal_roi_align`.

    Args:
        output_size: (h, w) of the RoI grid, or one number for both (7 in the paper).
        spatial_scale: Map pixels per image pixel, e.g. 1/16; a LevelPooler gives its own.
        sampling_ratio: RoIAlign's samples per bin and axis; <= 0: adaptive.
        aligned: RoIAlign's shift by half a pixel.
        channels: C of the maps; needed for `num_heads` > 0.
        top_k: K, the most similar cells taken from each support frame.
        num_heads: N, groups of channels in the attention; 0 is the plain average.
        embedding: "grouped" (the paper) or "dense" (the published code).
        bias: Whether the embedding has a bias.
        logit_scale: Factor of the attention's logits.
        search: "exact" or "coarse-to-fine", see `trovid.ops.temporal_roi_align`. The graphs of
            `trovid export` search exactly.
        backend: See `trovid.ops.temporal_roi_align`.

    Example:
        >>> pool = TemporalRoIAlign(7, 1 / 16, channels=8)
        >>> boxes = [torch.tensor([[16.0, 16.0, 160.0, 120.0]])]
        >>> pool(torch.rand(1, 8, 20, 30), torch.rand(1, 14, 8, 20, 30), boxes).shape
        torch.Size([1, 8, 7, 7])
    """

    searches_support = True

    def __init__(
        self,
        output_size: int | Sequence[int] = 7,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 2,
        aligned: bool = False,
        *,
        channels: int | None = None,
        top_k: int = 4,
        num_heads: int = 4,
        embedding: str = "grouped",
        bias: bool = True,
        logit_scale: float = 1.0,
        search: str = "exact",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_search_name(search)
        self.output_size = check_size(output_size)
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.top_k = top_k
        self.num_heads = num_heads
        self.logit_scale = logit_scale
        self.search = search
        self.uses_prefixes = search == "exact"
        self.backend = backend
        self.embedding = attention_embedding(channels, num_heads, embedding, bias, logit_scale)

    def forward(
        self,
        features: Tensor,
        support_features: Tensor | Sequence[Tensor] | PackedSupport | None,
        boxes: Tensor | Sequence[Tensor],
    ) -> Tensor:
        """Pool.

        Args:
            features: Tensor[B, C, H, W], the target frames.
            support_features: Tensor[B, T, C, H, W], a list of B Tensor[T_i, C, H, W], a
                PackedSupport, or None for no support frames.
            boxes: A list of B Tensor[R_i, 4] in image pixels, or Tensor[R, 5].

        Returns:
            Tensor[R, C, h, w].
        """
        if isinstance(features, Proxy):
            return one_node(self, features, support_features, boxes)
        return self._operator(features, support_features, boxes, self.spatial_scale)

    def __prepare_scriptable__(self) -> NoReturn:
        raise NotImplementedError(NO_TORCHSCRIPT)

    def extract(
        self,
        features: Tensor,
        boxes: Sequence[Tensor],
        spatial_scale: float,
        support: PackedSupport | None = None,
    ) -> Tensor:
        """See `Extractor.extract`: by the operator, in place of `align` and `aggregate`."""
        if support is None:
            return self.align(features, boxes, spatial_scale)
        return self._operator(features, support, boxes, spatial_scale)

    def _operator(
        self,
        features: Tensor,
        support: Tensor | Sequence[Tensor] | PackedSupport | None,
        boxes: Tensor | Sequence[Tensor],
        spatial_scale: float,
    ) -> Tensor:
        return temporal_roi_align(
            features,
            support,
            boxes,
            self.output_size,
            spatial_scale,
            self.sampling_ratio,
            self.aligned,
            top_k=self.top_k,
            num_heads=self.num_heads,
            weight=None if self.embedding is None else self.embedding.weight,
            bias=None if self.embedding is None else self.embedding.bias,
            logit_scale=self.logit_scale,
            search=self.search,
            backend=self.backend,
        )

    def aggregate(self, roi_features: Tensor, support: PackedSupport) -> Tensor:
        """Eq. 2 to 8 for all support frames at once; see `Extractor.aggregate`."""
        similar, _ = most_similar_sets(roi_features, support, self.top_k)
        if self.embedding is None:
            return reference.average(roi_features, similar)
        weight, bias = self.embedding.weight, self.embedding.bias
        output, _ = reference.temporal_attention(
            roi_features, similar, self.num_heads, weight, bias, self.logit_scale
        )
        return output

    def sight(
        self,
        features: Tensor,
        boxes: Sequence[Tensor],
        spatial_scale: float,
        support: PackedSupport,
    ) -> Sight:
        """See `Extractor.sight`."""
        roi_features = self.align(features, boxes, spatial_scale)
        similar, points, scores = most_similar_roi_align(
            roi_features, support, top_k=self.top_k, search=self.search
        )
        frames = support.num_frames + 1
        if self.embedding is None:
            shape = frames, len(roi_features), 1, *self.output_size
            weights = similar.new_full(shape, 1 / frames)
        else:
            _, weights = temporal_attention(
                roi_features,
                similar,
                num_heads=self.num_heads,
                weight=self.embedding.weight,
                bias=self.embedding.bias,
                logit_scale=self.logit_scale,
            )
        return Sight(points, scores, weights)

    def operations(self, rois: int, map_shape: tuple[int, int, int], support_frames: int) -> int:
        """See `Extractor.operations`: inner products with every cell, T + 1 embedded sets.

        That is the exact search, also where `search` is another.
        """
        channels, height, width = map_shape
        positions = rois * self.output_size[0] * self.output_size[1]
        products = 2 * positions * channels * support_frames * height * width
        if self.embedding is None:
            return products
        embedded = 2 * positions * self.embedding.weight.numel() * (support_frames + 1)
        return products + embedded

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}, "
            f"top_k={self.top_k}, num_heads={self.num_heads}, logit_scale={self.logit_scale}, "
            f"search={self.search}"
        )


def most_similar_sets(
    roi_features: Tensor, support: PackedSupport, top_k: int
) -> tuple[Tensor, Tensor]:
    """Eq. 2 to 4 for all support frames of one video at once, as export traces them.

    Returns:
        The sets Tensor[T, R, C, h, w], and the K cosines behind each, Tensor[T, R, h, w, K].
    """
    rows, grid = support.rows, roi_features.shape[2:]
    frames, cells, channels = rows.shape
    positions = reference.normalize(roi_features.flatten(2).transpose(1, 2))
    directions = rows * support.inverse_norms.unsqueeze(-1)
    similarity = torch.einsum("rpc,tqc->trpq", positions, directions)
    scores, points = similarity.topk(top_k, dim=-1)
    places = points + torch.arange(frames, device=rows.device).view(-1, 1, 1, 1) * cells
    found = rows.reshape(-1, channels)[places]
    similar = (scores.softmax(-1).unsqueeze(-1) * found).sum(-2)
    return similar.transpose(2, 3).unflatten(3, grid), scores.unflatten(2, grid)


def attention_embedding(
    channels: int | None, num_heads: int, embedding: str, bias: bool, logit_scale: float
) -> TemporalAttentionEmbedding | None:
    """The embedding of a temporal attention of N = `num_heads`; None for the plain mean, N = 0."""
    if num_heads == 0:
        return None
    if channels is None:
        raise ValueError(
            "`channels` must be given for the temporal attention; `num_heads=0` needs none"
        )
    return TemporalAttentionEmbedding(
        channels, num_heads=num_heads, embedding=embedding, bias=bias, logit_scale=logit_scale
    )
