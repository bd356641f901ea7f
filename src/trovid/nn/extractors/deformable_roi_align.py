"""Modulated deformable RoI Align in the place of Most Similar RoI Align (Table 1 of the paper)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trovid.nn.extractors.contract import Extractor, Sight
from trovid.nn.extractors.temporal_roi_align import attention_embedding
from trovid.ops import PackedSupport, deform_roi_align, roi_align, temporal_attention
from trovid.ops.checks import boxes_to_rois, check_size
from trovid.ops.temporal_roi_align import reference
from trovid.ops.temporal_roi_align.packed import compute_dtype

SETS_AT_ONCE = 2**26


class Offsets(nn.Module):
    """From target and support RoI features to offsets and mask of the support frame's bins.

    The published layers (mmcv, ModulatedDeformRoIPoolPack) on both features side by side: offsets
    by two hidden layers with ReLU, the mask by one and a sigmoid, the last layers at zero. The
    target's share of the first layers is computed once, not for each support frame.

    Args:
        features: Numbers of one RoI's features, C * h * w.
        bins: h * w.
        hidden: Width of the hidden layers.
    """

    def __init__(self, features: int, bins: int, hidden: int) -> None:
        super().__init__()
        self.offset_in, self.mask_in = (nn.Linear(2 * features, hidden) for _ in range(2))
        self.offset_hidden = nn.Linear(hidden, hidden)
        self.offset_out, self.mask_out = nn.Linear(hidden, 2 * bins), nn.Linear(hidden, bins)
        for layer in (self.offset_out, self.mask_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, support_features: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets and mask.

        Args:
            features: Tensor[R, C, h, w].
            support_features: Tensor[T, R, C, h, w], the same boxes on the support maps.

        Returns:
            Offsets Tensor[T, R, 2, h, w] (dx, dy) and mask Tensor[T, R, 1, h, w].
        """
        grid = features.shape[2:]
        offsets, mask = (
            _two_parts(layer, features.flatten(1), support_features.flatten(2)).relu()
            for layer in (self.offset_in, self.mask_in)
        )
        offsets = self.offset_out(self.offset_hidden(offsets).relu())
        mask = self.mask_out(mask).sigmoid()
        return offsets.unflatten(2, (2, *grid)), mask.unflatten(2, (1, *grid))


class DeformableRoIAlign(Extractor):
    """Modulated deformable RoI Align on each support frame, then temporal attention or the mean.

    The box of the target frame is pooled from each support frame with bins moved and weighted by
    what `Offsets` reads from target and support features; the T + 1 sets are aggregated as in
    Temporal RoI Align (Eq. 5 to 8), or averaged.

    Args:
        output_size: (h, w) of the RoI grid, or one number for both.
        spatial_scale: Unused here; a LevelPooler gives its own.
        sampling_ratio: Samples per bin and axis; <= 0: adaptive.
        aligned: Shift by half a pixel.
        channels: C of the maps.
        num_heads: N, groups of channels in the attention; 0 is the plain mean.
        embedding: "grouped" (the paper) or "dense" (the published code).
        bias: Whether the embedding has a bias.
        logit_scale: Factor of the attention's logits.
        hidden: Width of the layers that predict offsets and mask.
        gamma: Scale of the offsets.
        sets_at_once: Numbers of the T sets of RoI features that are held at once where no gradient
            is kept.
    """

    searches_support = True
    exportable = False

    def __init__(
        self,
        output_size: int | Sequence[int] = 7,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 2,
        aligned: bool = False,
        *,
        channels: int,
        num_heads: int = 4,
        embedding: str = "grouped",
        bias: bool = True,
        logit_scale: float = 1.0,
        hidden: int = 1024,
        gamma: float = 0.1,
        sets_at_once: int = SETS_AT_ONCE,
    ) -> None:
        super().__init__()
        self.output_size = check_size(output_size)
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.num_heads = num_heads
        self.logit_scale = logit_scale
        self.gamma = gamma
        self.sets_at_once = sets_at_once
        bins = math.prod(self.output_size)
        self.offsets = Offsets(channels * bins, bins, hidden)
        self.embedding = attention_embedding(channels, num_heads, embedding, bias, logit_scale)

    def extract(
        self,
        features: Tensor,
        boxes: Sequence[Tensor],
        spatial_scale: float,
        support: PackedSupport | None = None,
    ) -> Tensor:
        """See `Extractor.extract`; without a gradient a bounded number of RoIs at a time."""
        roi_features = self.align(features, boxes, spatial_scale)
        if support is None:
            return roi_features
        scale = spatial_scale * 2.0 ** round(math.log2(support.size[0] / features.shape[-2]))
        parts = []
        for video, video_features in enumerate(roi_features.split([len(part) for part in boxes])):
            frames = support.lengths[video]
            if not frames:
                parts.append(video_features)
                continue
            maps = support.videos([video]).maps()
            step = len(video_features)
            if not torch.is_grad_enabled():
                step = self.sets_at_once // (frames * math.prod(video_features.shape[1:]))
            pairs = zip(
                video_features.split(max(step, 1)), boxes[video].split(max(step, 1)), strict=True
            )
            parts += [self._aggregated(some, maps, places, scale)[0] for some, places in pairs]
        return torch.cat(parts)

    def _aggregated(
        self, roi_features: Tensor, maps: Tensor, boxes: Tensor, spatial_scale: float
    ) -> tuple[Tensor, Tensor]:
        """RoI features Tensor[R, C, h, w] of one video, and the weights Tensor[T + 1, R, N, h, w].

        Args:
            roi_features: Tensor[R, C, h, w].
            maps: Tensor[T, C, H, W].
            boxes: Tensor[R, 4] in image pixels.
            spatial_scale: Map pixels per image pixel.
        """
        sets, _ = self._moved(roi_features, maps, boxes, spatial_scale)
        if self.embedding is None:
            share = 1 / (len(sets) + 1)
            weights = sets.new_full((len(sets) + 1, len(boxes), 1, *self.output_size), share)
            return reference.average(roi_features, sets), weights
        return temporal_attention(
            roi_features,
            sets,
            num_heads=self.num_heads,
            weight=self.embedding.weight,
            bias=self.embedding.bias,
            logit_scale=self.logit_scale,
        )

    def _moved(
        self, roi_features: Tensor, maps: Tensor, boxes: Tensor, spatial_scale: float
    ) -> tuple[Tensor, Tensor]:
        """The sets Tensor[T, R, C, h, w] of moved bins, and their offsets Tensor[T, R, 2, h, w]."""
        maps = maps.to(compute_dtype(maps.dtype))
        frames, rois = len(maps), boxes_to_rois([boxes.detach()] * len(maps)).to(maps.dtype)
        pooling = spatial_scale, self.sampling_ratio, self.aligned
        shape = frames, len(boxes), *roi_features.shape[1:]
        with torch.autocast(maps.device.type, enabled=False):
            same = roi_align(maps, rois, self.output_size, *pooling).view(shape)
            offsets, mask = self.offsets(roi_features.to(maps.dtype), same)
            moved = deform_roi_align(
                maps,
                rois,
                self.output_size,
                offsets.flatten(0, 1),
                mask.flatten(0, 1),
                *pooling,
                gamma=self.gamma,
            )
        return moved.view(shape), offsets

    def sight(
        self,
        features: Tensor,
        boxes: Sequence[Tensor],
        spatial_scale: float,
        support: PackedSupport,
    ) -> Sight:
        """See `Extractor.sight`: a position's cell is where the middle of its bin has moved."""
        roi_features = self.align(features, boxes, spatial_scale)
        scale = spatial_scale * 2.0 ** round(math.log2(support.size[0] / features.shape[-2]))
        maps = support.maps()
        sets, offsets = self._moved(roi_features, maps, boxes[0], scale)
        _, weights = self._aggregated(roi_features, maps, boxes[0], scale)
        cells = self.cells(boxes[0], scale, support.size, self.gamma * offsets)
        cosines = torch.cosine_similarity(roi_features[None], sets, dim=2)
        return Sight(cells.unsqueeze(2), cosines.unsqueeze(2), weights)

    def operations(self, rois: int, map_shape: tuple[int, int, int], support_frames: int) -> int:
        """See `Extractor.operations`: offsets, samples, and T + 1 embedded sets."""
        channels = map_shape[0]
        bins = math.prod(self.output_size)
        pairs = rois * support_frames
        layers = sum(parameter.numel() for parameter in self.offsets.parameters())
        samples = max(self.sampling_ratio, 1) ** 2 * 4
        embedding = 0 if self.embedding is None else self.embedding.weight.numel()
        predicted = 2 * pairs * layers
        pooled = 2 * 2 * pairs * bins * samples * channels
        return predicted + pooled + 2 * rois * bins * embedding * (support_frames + 1)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return (
            f"output_size={self.output_size}, sampling_ratio={self.sampling_ratio}, "
            f"aligned={self.aligned}, num_heads={self.num_heads}, gamma={self.gamma}"
        )


def _two_parts(layer: nn.Linear, features: Tensor, support_features: Tensor) -> Tensor:
    """The layer on both together, Tensor[R, D] and Tensor[T, R, D], as Tensor[T, R, hidden]."""
    first, second = layer.weight.split(features.shape[1], dim=1)
    linear = nn.functional.linear
    return linear(features, first, layer.bias) + linear(support_features, second)
