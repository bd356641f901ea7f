"""RoI features from the levels of a feature pyramid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torchvision.ops import box_area

from trovid.nn.extractors.contract import Extractor
from trovid.nn.tracing import one_node
from trovid.ops import PackedSupport, pack_support
from trovid.ops.checks import is_exporting
from trovid.ops.temporal_roi_align.api import NO_TORCHSCRIPT

SupportMaps = Tensor | Sequence[Tensor] | PackedSupport
"""Tensor[B, T, C, H, W], a list of B Tensor[T_i, C, H, W], or packed."""


class LevelPooler(nn.Module):
    """An extractor on a dict of levels, in the place of torchvision's MultiScaleRoIAlign.

    Each proposal is pooled from one level, chosen by its size as in Eq. 1 of the Feature Pyramid
    Networks paper (Lin et al., 2017). Where the extractor searches support frames, a proposal
    searches their same level or always the coarsest. All levels share the extractor's weights.

    Args:
        extractor: How a map is pooled.
        featmap_names: The levels used, finest first; each is half as fine as the one before.
        canonical_scale: Size in pixels of a box that is pooled from `canonical_level`.
        canonical_level: See `canonical_scale`; level k has a stride of 2**k pixels.
        searched: Which level of the support frames a proposal searches: its "own", the "last" of
            `featmap_names`, the coarsest, or one of them by its name.
        searching: The levels whose proposals search; those of the others are pooled as without
            support frames. None for all.

    Example:
        >>> from trovid.nn import RoIAlign
        >>> pool = LevelPooler(RoIAlign(7), ["c3", "c4"])
        >>> levels = {"c3": torch.rand(1, 8, 40, 60), "c4": torch.rand(1, 8, 20, 30)}
        >>> pool(levels, [torch.tensor([[16.0, 16.0, 160.0, 120.0]])], [(320, 480)]).shape
        torch.Size([1, 8, 7, 7])
    """

    def __init__(
        self,
        extractor: Extractor,
        featmap_names: Sequence[str],
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
        searched: str = "own",
        searching: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if searched not in ("own", "last", *featmap_names):
            raise ValueError(
                f"`searched` must be 'own' or 'last' or one of {list(featmap_names)}, "
                f"but is {searched!r}"
            )
        unknown = [name for name in searching or () if name not in featmap_names]
        if unknown:
            raise ValueError(
                f"`searching` must name levels of {list(featmap_names)}, but names {unknown[0]!r}"
            )
        self.extractor = extractor
        self.featmap_names = list(featmap_names)
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level
        self.searched = searched
        self.searching = tuple(featmap_names if searching is None else searching)

    @property
    def output_size(self) -> tuple[int, int]:
        """(h, w) of the RoI grid."""
        return self.extractor.output_size

    @property
    def searched_levels(self) -> tuple[str, ...]:
        """The levels of the support frames that are searched; none without such a search."""
        names = self.searching if self.extractor.searches_support else ()
        return tuple(dict.fromkeys(map(self.searched_level, names)))

    def searched_level(self, name: str) -> str:
        """The level of the support frames that proposals of a level search."""
        if self.searched == "own":
            return name
        return self.featmap_names[-1] if self.searched == "last" else self.searched

    def joined(
        self, maps: Sequence[Mapping[str, PackedSupport]] | None
    ) -> dict[str, PackedSupport] | None:
        """The searched levels of each image's support maps; None where nothing is searched."""
        if maps is None or not self.searched_levels:
            return None
        return {
            name: PackedSupport.batch([image_maps[name] for image_maps in maps])
            for name in self.searched_levels
        }

    def forward(
        self,
        x: Mapping[str, Tensor],
        boxes: Sequence[Tensor],
        image_shapes: Sequence[tuple[int, int]],
        support: Mapping[str, SupportMaps] | None = None,
    ) -> Tensor:
        """Pool.

        Args:
            x: Tensor[B, C, H_l, W_l] for each level.
            boxes: B Tensor[R_i, 4] in image pixels.
            image_shapes: (height, width) of each image as it entered the backbone.
            support: The support frames of the B images for each of the searched levels; None where
                there are none.

        Returns:
            Tensor[R, C, h, w], in the order of `boxes`.
        """
        if isinstance(x, Proxy) or isinstance(x.get(self.featmap_names[0]), Proxy):
            return one_node(self, x, boxes, image_shapes, support)
        for name in self.featmap_names:
            if name not in x:
                raise ValueError(f"`x` must hold the level {name!r}, but has {list(x)}")
        maps = self._searched_maps(support) if support is not None else {}
        scales = self.scales(x, image_shapes)
        levels = self.levels(boxes, scales)
        names = list(zip(self.featmap_names, scales, strict=True))
        if is_exporting():
            return self._exported(x, boxes, names, torch.cat(levels), maps)
        pooled = [
            self.extractor.extract(
                x[name],
                [part[of_box == level] for part, of_box in zip(boxes, levels, strict=True)],
                scale,
                maps.get(self.searched_level(name)) if name in self.searching else None,
            )
            for level, (name, scale) in enumerate(names)
        ]
        if len(pooled) == 1:
            return pooled[0]
        places = torch.cat(levels).argsort(stable=True).argsort()
        return torch.cat([part.to(pooled[0].dtype) for part in pooled])[places]

    def __prepare_scriptable__(self) -> NoReturn:
        raise NotImplementedError(NO_TORCHSCRIPT)

    def _exported(
        self,
        x: Mapping[str, Tensor],
        boxes: Sequence[Tensor],
        names: Sequence[tuple[str, float]],
        level_of: Tensor,
        support: Mapping[str, PackedSupport],
    ) -> Tensor:
        """Every level for every box of one image, then each box its own: no size differs."""
        pooled = [self.extractor.align(x[name], boxes, scale) for name, scale in names]
        chosen = pooled[0]
        for level, part in enumerate(pooled[1:], 1):
            chosen = torch.where((level_of == level).view(-1, 1, 1, 1), part, chosen)
        if not support:
            return chosen
        (searched,) = support.values()
        found = self.extractor.aggregate(chosen, searched)
        for level, name in enumerate(self.featmap_names):
            if name not in self.searching:
                found = torch.where((level_of == level).view(-1, 1, 1, 1), chosen, found)
        return found

    def scales(
        self, x: Mapping[str, Tensor], image_shapes: Sequence[tuple[int, int]]
    ) -> list[float]:
        """Map pixels per image pixel of each level, a power of two as in torchvision."""
        height = max(shape[0] for shape in image_shapes)
        return [2.0 ** round(math.log2(x[name].shape[-2] / height)) for name in self.featmap_names]

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
            size = box_area(part).clamp(min=0).sqrt()
            level = self.canonical_level + torch.log2(size / self.canonical_scale) + 1e-6
            level = level.nan_to_num(nan=lowest)
            levels.append(level.floor().clamp(lowest, highest).long() - lowest)
        return levels

    def _searched_maps(self, support: Mapping[str, SupportMaps]) -> dict[str, PackedSupport]:
        for name in self.searched_levels:
            if name not in support:
                raise ValueError(f"`support` must hold the level {name!r}, but has {list(support)}")
        maps = {name: support[name] for name in self.searched_levels}
        return {
            name: level_maps if isinstance(level_maps, PackedSupport) else pack_support(level_maps)
            for name, level_maps in maps.items()
        }

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"featmap_names={self.featmap_names}, searched={self.searched!r}"
