"""Image-level aggregation over a window of frames, in the place of RoI-level aggregation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trovid.nn.extractors.contract import Sight
from trovid.ops import PackedSupport, similarity_aggregation
from trovid.ops.similarity_aggregation import similarities
from trovid.ops.temporal_roi_align.packed import compute_dtype


class SimilarityAggregation(nn.Module):
    """One level of the target frame's map replaced by a sum over it and the support frames' maps.

    FGFA without flow: maps are compared and summed at the same place. The embedding is one 3x3
    convolution with bias and no activation (published code); the sum includes the current frame
    (in FGFA's training it does not).

    Args:
        channels: C of the level.
        level: Its name.
    """

    def __init__(self, channels: int, level: str) -> None:
        super().__init__()
        self.level = level
        self.embedding = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(
        self, features: dict[str, Tensor], support: Sequence[PackedSupport]
    ) -> dict[str, Tensor]:
        """The levels with the aggregated one among them.

        Args:
            features: Tensor[B, C, H, W] for each level, the target frames.
            support: For each of them the maps of its support frames at the level.
        """
        maps = []
        for target, packed in zip(features[self.level], support, strict=True):
            with torch.autocast(target.device.type, enabled=False):
                everything, embedded = self._embedded(target, packed)
                maps.append(similarity_aggregation(everything, embedded, embedded[0]))
        return {**features, self.level: torch.stack(maps)}

    def sight(self, target: Tensor, support: PackedSupport, cells: Tensor) -> Sight:
        """What RoI positions of one target frame take from the support frames of their video.

        Place and weight are those of the cell that a position lies on, the place the same in every
        frame.

        Args:
            target: Tensor[C, H, W], the level of the target frame.
            support: The level of the support frames.
            cells: Tensor[R, h, w], the cells of the positions, as y * W + x.
        """
        with torch.autocast(target.device.type, enabled=False):
            _, embedded = self._embedded(target, support)
            found = similarities(embedded, embedded[0])
        weights, cosines = (part.flatten(1)[:, cells] for part in (found.softmax(0), found))
        places = cells.expand_as(cosines[1:])
        return Sight(places.unsqueeze(2), cosines[1:].unsqueeze(2), weights.unsqueeze(2))

    def _embedded(self, target: Tensor, support: PackedSupport) -> tuple[Tensor, Tensor]:
        """The T + 1 maps, the target frame's first, and their embeddings."""
        everything = torch.cat([target[None], support.maps().to(target.dtype)])
        everything = everything.to(compute_dtype(target.dtype))
        return everything, self.embedding(everything)

    def operations(self, map_shape: tuple[int, int, int], support_frames: int) -> int:
        """Floating-point operations of a target frame: T + 1 embedded maps, cosines and their sum.

        Args:
            map_shape: (C, H, W) of the level.
            support_frames: T.
        """
        channels, height, width = map_shape
        values = (support_frames + 1) * channels * height * width
        embedded = 2 * values * channels * self.embedding.weight[0, 0].numel()
        products, norms, sums = 2 * values, 2 * values, 2 * values
        return embedded + products + norms + sums

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"level={self.level!r}"
