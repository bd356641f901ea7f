"""Modules that own the weights of Temporal RoI Align, in the places of torchvision's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torchvision.ops import box_area

from trovid.nn.tracing import one_node
from trovid.ops import PackedSupport, temporal_roi_align
from trovid.ops.checks import check_size
from trovid.ops.temporal_roi_align.api import NO_TORCHSCRIPT

Support = Tensor | Sequence[Tensor] | PackedSupport


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


class TemporalRoIAlign(nn.Module):
    """Temporal RoI Align on one map; see `trovid.ops.temporal_roi_align`.

    Args:
        output_size: (h, w) of the RoI grid, or one number for both (7 in the paper).
        spatial_scale: Map pixels per image pixel, e.g. 1/16.
        sampling_ratio: RoIAlign's samples per bin and axis; <= 0: adaptive.
        aligned: RoIAlign's shift by half a pixel.
        channels: C of the maps; needed for `num_heads` > 0.
        top_k: K, the most similar cells taken from each support frame.
        num_heads: N, groups of channels in the attention; 0 is the plain average.
        embedding: "grouped" (the paper) or "dense" (the published code).
        bias: Whether the embedding has a bias.
        logit_scale: Factor of the attention's logits.
        backend: See `trovid.ops.temporal_roi_align`.

    Example:
        >>> pool = TemporalRoIAlign(7, 1 / 16, channels=8)
        >>> boxes = [torch.tensor([[16.0, 16.0, 160.0, 120.0]])]
        >>> pool(torch.rand(1, 8, 20, 30), torch.rand(1, 14, 8, 20, 30), boxes).shape
        torch.Size([1, 8, 7, 7])
    """

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
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.output_size = check_size(output_size)
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.top_k = top_k
        self.num_heads = num_heads
        self.logit_scale = logit_scale
        self.backend = backend
        self.embedding = _embedding(channels, num_heads, embedding, bias, logit_scale)

    def forward(
        self, features: Tensor, support_features: Support, boxes: Tensor | Sequence[Tensor]
    ) -> Tensor:
        """Pool.

        Args:
            features: Tensor[B, C, H, W], the target frames.
            support_features: Tensor[B, T, C, H, W], a list of B Tensor[T_i, C, H, W], or a
                PackedSupport.
            boxes: A list of B Tensor[R_i, 4] in image pixels, or Tensor[R, 5].

        Returns:
            Tensor[R, C, h, w].
        """
        if isinstance(features, Proxy):
            return one_node(self, features, support_features, boxes)
        return temporal_roi_align(
            features,
            support_features,
            boxes,
            self.output_size,
            self.spatial_scale,
            self.sampling_ratio,
            self.aligned,
            **_operator_options(self),
        )

    def __prepare_scriptable__(self) -> NoReturn:
        raise NotImplementedError(NO_TORCHSCRIPT)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}, "
            f"top_k={self.top_k}, num_heads={self.num_heads}, logit_scale={self.logit_scale}"
        )


class MultiScaleTemporalRoIAlign(nn.Module):
    """Temporal RoI Align on a dict of levels, in the place of torchvision's MultiScaleRoIAlign.

    Each proposal is pooled from one level, chosen by its size as in Eq. 1 of the Feature Pyramid
    Networks paper, and searches that same level of the support frames (or always the coarsest).
    The attention's embedding is shared by all levels.

    Args:
        featmap_names: The levels used, finest first; each is half as fine as the one before.
        output_size: (h, w) of the RoI grid, or one number for both (7 in the paper).
        sampling_ratio: RoIAlign's samples per bin and axis; <= 0: adaptive.
        channels: C of the maps; needed for `num_heads` > 0.
        aligned: RoIAlign's shift by half a pixel.
        top_k: K, the most similar cells taken from each support frame.
        num_heads: N, groups of channels in the attention; 0 is the plain average.
        embedding: "grouped" (the paper) or "dense" (the published code).
        bias: Whether the embedding has a bias.
        logit_scale: Factor of the attention's logits.
        canonical_scale: Size in pixels of a box that is pooled from `canonical_level`.
        canonical_level: See `canonical_scale`; level k has a stride of 2**k pixels.
        searched: Which level of the support frames a proposal searches: its "own", or the "last"
            of `featmap_names`, the coarsest.
        backend: See `trovid.ops.temporal_roi_align`.

    Example:
        >>> pool = MultiScaleTemporalRoIAlign(["c4"], 7, channels=8)
        >>> boxes = [torch.tensor([[16.0, 16.0, 160.0, 120.0]])]
        >>> levels = {"c4": torch.rand(1, 8, 20, 30)}
        >>> support = {"c4": torch.rand(1, 14, 8, 20, 30)}
        >>> pool(levels, support, boxes, [(320, 480)]).shape
        torch.Size([1, 8, 7, 7])
    """

    def __init__(
        self,
        featmap_names: Sequence[str],
        output_size: int | Sequence[int] = 7,
        sampling_ratio: int = 2,
        *,
        channels: int | None = None,
        aligned: bool = False,
        top_k: int = 4,
        num_heads: int = 4,
        embedding: str = "grouped",
        bias: bool = True,
        logit_scale: float = 1.0,
        canonical_scale: int = 224,
        canonical_level: int = 4,
        searched: str = "own",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.featmap_names = list(featmap_names)
        self.output_size = check_size(output_size)
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.top_k = top_k
        self.num_heads = num_heads
        self.logit_scale = logit_scale
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level
        if searched not in ("own", "last"):
            raise ValueError(f"`searched` must be 'own' or 'last', but is {searched!r}")
        self.searched = searched
        self.backend = backend
        self.embedding = _embedding(channels, num_heads, embedding, bias, logit_scale)

    def forward(
        self,
        x: dict[str, Tensor],
        support: dict[str, Support],
        boxes: Sequence[Tensor],
        image_shapes: Sequence[tuple[int, int]],
    ) -> Tensor:
        """Pool.

        Args:
            x: Tensor[B, C, H_l, W_l] for each level.
            support: The support frames of each level, as `temporal_roi_align` takes them.
            boxes: B Tensor[R_i, 4] in image pixels.
            image_shapes: (height, width) of each image as it entered the backbone.

        Returns:
            Tensor[R, C, h, w], in the order of `boxes`.
        """
        for name in self.featmap_names:
            if name not in x or self.searched_level(name) not in support:
                lacking = name if name not in x else self.searched_level(name)
                raise ValueError(
                    f"`x` and `support` must hold the level {lacking!r}, "
                    f"but have {list(x)} and {list(support)}"
                )
        scales = self.scales(x, image_shapes)
        levels = self.levels(boxes, scales)
        pooled = [
            temporal_roi_align(
                x[name],
                support[self.searched_level(name)],
                [part[of_box == level] for part, of_box in zip(boxes, levels, strict=True)],
                self.output_size,
                scale,
                self.sampling_ratio,
                self.aligned,
                **_operator_options(self),
            )
            for level, (name, scale) in enumerate(zip(self.featmap_names, scales, strict=True))
        ]
        if len(pooled) == 1:
            return pooled[0]
        places = torch.cat(levels).argsort(stable=True).argsort()
        return torch.cat([part.to(pooled[0].dtype) for part in pooled])[places]

    def searched_level(self, name: str) -> str:
        """The level of the support frames that proposals of a level search."""
        return name if self.searched == "own" else self.featmap_names[-1]

    def scales(self, x: dict[str, Tensor], image_shapes: Sequence[tuple[int, int]]) -> list[float]:
        """Map pixels per image pixel of each level."""
        return _scales([x[name] for name in self.featmap_names], image_shapes)

    def levels(self, boxes: Sequence[Tensor], scales: Sequence[float]) -> list[Tensor]:
        """For each image the index of the level of each box (torchvision's rule).

        Args:
            boxes: B Tensor[R_i, 4] in image pixels.
            scales: Map pixels per image pixel of each level, each half of the one before.
        """
        exponents = [-round(math.log2(scale)) for scale in scales]
        lowest, highest = exponents[0], exponents[-1]
        if exponents != list(range(lowest, highest + 1)):
            raise ValueError(
                "each level of `featmap_names` must be half as fine as the one before, but "
                f"{self.featmap_names} have strides of {[2**exponent for exponent in exponents]}"
            )
        levels = []
        for part in boxes:
            size = box_area(part).sqrt()
            level = self.canonical_level + torch.log2(size / self.canonical_scale) + 1e-6
            levels.append(level.floor().clamp(lowest, highest).long() - lowest)
        return levels

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return (
            f"featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}, "
            f"top_k={self.top_k}, num_heads={self.num_heads}, logit_scale={self.logit_scale}"
        )


def _embedding(
    channels: int | None, num_heads: int, embedding: str, bias: bool, logit_scale: float
) -> TemporalAttentionEmbedding | None:
    if num_heads == 0:
        return None
    if channels is None:
        raise ValueError(
            "`channels` must be given for the temporal attention; `num_heads=0` needs none"
        )
    return TemporalAttentionEmbedding(
        channels, num_heads=num_heads, embedding=embedding, bias=bias, logit_scale=logit_scale
    )


def _operator_options(module: TemporalRoIAlign | MultiScaleTemporalRoIAlign) -> dict:
    return {
        "top_k": module.top_k,
        "num_heads": module.num_heads,
        "weight": None if module.embedding is None else module.embedding.weight,
        "bias": None if module.embedding is None else module.embedding.bias,
        "logit_scale": module.logit_scale,
        "backend": module.backend,
    }


def _scales(maps: Sequence[Tensor], image_shapes: Sequence[tuple[int, int]]) -> list[float]:
    """Map pixels per image pixel of each level, a power of two as in torchvision."""
    height = max(shape[0] for shape in image_shapes)
    return [2.0 ** round(math.log2(level.shape[-2] / height)) for level in maps]
