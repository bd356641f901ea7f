"""The control of a search: support features of the target's own boxes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trovid.nn.extractors.contract import Extractor
from trovid.nn.extractors.temporal_roi_align import TemporalRoIAlign
from trovid.ops import PackedSupport, temporal_attention


class SamePlace(Extractor):
    """Temporal RoI Align whose support features are read at the target's own boxes: no search.

    Args:
        inner: The extractor whose attention is used.
    """

    searches_support = True

    def __init__(self, inner: TemporalRoIAlign) -> None:
        super().__init__()
        self.inner = inner
        self.output_size = inner.output_size
        self.sampling_ratio, self.aligned = inner.sampling_ratio, inner.aligned

    def extract(
        self,
        features: Tensor,
        boxes: Sequence[Tensor],
        spatial_scale: float,
        support: PackedSupport | None = None,
    ) -> Tensor:
        """See `Extractor.extract`."""
        roi_features = self.align(features, boxes, spatial_scale)
        if support is None:
            return roi_features
        embedding, parts = self.inner.embedding, []
        scale = spatial_scale * support.size[0] / features.shape[-2]  # of the level that is read
        for video, part in enumerate(roi_features.split([len(some) for some in boxes])):
            frames = support.lengths[video]
            if not frames or not len(part):
                parts.append(part)
                continue
            maps = support.videos([video]).rows.transpose(1, 2).unflatten(2, support.size)
            sets = self.align(maps, [boxes[video]] * frames, scale)
            sets = sets.unflatten(0, (frames, -1))
            if embedding is None:
                parts.append(torch.cat([part.unsqueeze(0), sets]).mean(0))
                continue
            mixed, _ = temporal_attention(
                part,
                sets,
                num_heads=self.inner.num_heads,
                weight=embedding.weight,
                bias=embedding.bias,
                logit_scale=self.inner.logit_scale,
            )
            parts.append(mixed)
        return torch.cat(parts)
