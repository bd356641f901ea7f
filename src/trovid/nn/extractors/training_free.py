"""Temporal RoI Align without any trained weights, for detectors trained on single frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trovid.nn.extractors.contract import Extractor, Sight
from trovid.nn.extractors.temporal_roi_align import most_similar_sets
from trovid.ops import PackedSupport, most_similar_roi_align, temporal_roi_align
from trovid.ops.checks import check_size

ATTENTIONS = ("mean", "dot", "cosine", "projection")
SETS_AT_ONCE = 2**24
"""Numbers of the T sets of RoI features that are held at once."""


def frame_weights(
    target: Tensor,
    sets: Tensor,
    similarities: Tensor,
    *,
    attention: str = "dot",
    scale: float = 1.0,
    num_heads: int = 1,
    own_weight: float = 1.0,
    similarity_power: float = 0.0,
    sharpness_power: float = 0.0,
) -> Tensor:
    """How much each of the T + 1 sets counts, without trained weights.

    A softmax over the frames, per position and group of channels, of `scale` times
    - "mean": 0, all alike;
    - "dot": x_i . x_t (Eq. 6 with psi = identity), which favours what is alike and strong;
    - "cosine": the cosine of x_i and x_t;
    - "projection": x_i . x_t / |x_t|^2, as "dot" whatever the size of the features.
    Then three rules that protect a clean target frame: its own set counts `own_weight` times, and
    (its norm over that of the supports' sets, of the whole RoI) ** `sharpness_power` times; a
    support frame's set counts (its best similarity) ** `similarity_power` times.

    Args:
        target: Tensor[R, C, h, w], x_t.
        sets: Tensor[T, R, C, h, w], x_i.
        similarities: Tensor[T, R, h, w], the cosine of the most similar cell of each frame.
        attention: See above.
        scale: Factor of the logits.
        num_heads: N, groups of channels.
        own_weight: See above.
        similarity_power: See above.
        sharpness_power: See above.

    Returns:
        Tensor[T + 1, R, N, h, w], the target's own first; they sum to 1 over the frames.
    """
    everything = torch.cat([target.unsqueeze(0), sets]).unflatten(2, (num_heads, -1))
    query = everything[:1]
    products = (everything * query).sum(3)
    if attention == "mean":
        logits = torch.zeros_like(products)
    elif attention == "dot":
        logits = scale * products
    elif attention == "cosine":
        logits = scale * torch.cosine_similarity(everything, query, dim=3, eps=1e-12)
    else:
        logits = scale * products / query.square().sum(3).clamp(min=1e-12)
    prior = torch.zeros_like(logits)
    prior[0] += math.log(own_weight)
    if sharpness_power:
        norms = everything.flatten(2).norm(dim=2).clamp(min=1e-12).log()
        sharper = norms[0] - norms[1:].logsumexp(0) + math.log(max(len(sets), 1))
        prior[0] += sharpness_power * sharper.view(-1, 1, 1, 1)
    if similarity_power:
        prior[1:] += similarity_power * similarities.clamp(min=1e-6).log().unsqueeze(2)
    return (logits + prior).softmax(0)


class TrainingFreeRoIAlign(Extractor):
    """Most Similar RoI Align and an attention whose embedding is the identity: no weights at all.

    For inference; the most similar cells of each support frame are those of Temporal RoI Align
    (Eq. 2 to 4), the frames are weighted by `frame_weights`.

    Args:
        output_size: (h, w) of the RoI grid, or one number for both.
        spatial_scale: Unused here; a LevelPooler gives its own.
        sampling_ratio: RoIAlign's samples per bin and axis; <= 0: adaptive.
        aligned: RoIAlign's shift by half a pixel.
        top_k: K, the most similar cells taken from each support frame.
        attention: See `frame_weights`.
        scale: See `frame_weights`.
        num_heads: See `frame_weights`.
        own_weight: See `frame_weights`.
        similarity_power: See `frame_weights`.
        sharpness_power: See `frame_weights`.
    """

    searches_support = True

    def __init__(
        self,
        output_size: int | Sequence[int] = 7,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 2,
        aligned: bool = False,
        *,
        top_k: int = 4,
        attention: str = "dot",
        scale: float = 0.1,
        num_heads: int = 1,
        own_weight: float = 1.0,
        similarity_power: float = 0.0,
        sharpness_power: float = 0.0,
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            names = ", ".join(map(repr, ATTENTIONS))
            raise ValueError(f"`attention` must be one of {names}, but is {attention!r}")
        if not own_weight > 0:
            raise ValueError(f"`own_weight` must be above 0, but is {own_weight}")
        if top_k < 1 or num_heads < 1:
            raise ValueError(
                f"`top_k` and `num_heads` must be at least 1, but are {top_k} and {num_heads}"
            )
        self.output_size = check_size(output_size)
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.top_k = top_k
        self.rules: dict[str, Any] = {
            "attention": attention,
            "scale": scale,
            "num_heads": num_heads,
            "own_weight": own_weight,
            "similarity_power": similarity_power,
            "sharpness_power": sharpness_power,
        }
        self.plain_mean = attention == "mean" and own_weight == 1.0
        self.plain_mean &= not (similarity_power or sharpness_power)
        self.uses_prefixes = self.plain_mean

    def extract(
        self,
        features: Tensor,
        boxes: Sequence[Tensor],
        spatial_scale: float,
        support: PackedSupport | None = None,
    ) -> Tensor:
        """See `Extractor.extract`; the plain mean by the operator, else some RoIs at a time."""
        if support is not None and self.plain_mean:
            options = spatial_scale, self.sampling_ratio, self.aligned
            return temporal_roi_align(
                features, support, boxes, self.output_size, *options, top_k=self.top_k
            )
        roi_features = self.align(features, boxes, spatial_scale)
        if support is None:
            return roi_features
        parts = []
        for video, video_features in enumerate(roi_features.split([len(part) for part in boxes])):
            frames = support.lengths[video]
            if not frames:
                parts.append(video_features)
                continue
            maps = support.videos([video])
            step = max(1, SETS_AT_ONCE // (frames * math.prod(video_features.shape[1:])))
            for some in video_features.split(step):
                sets, _, scores = most_similar_roi_align(some, maps, top_k=self.top_k)
                parts.append(self._weighted(some, sets, scores[:, :, 0])[0])
        return torch.cat(parts)

    def aggregate(self, roi_features: Tensor, support: PackedSupport) -> Tensor:
        """See `Extractor.aggregate`."""
        sets, scores = most_similar_sets(roi_features, support, self.top_k)
        return self._weighted(roi_features, sets, scores[..., 0])[0]

    def _weighted(
        self, target: Tensor, sets: Tensor, similarities: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The weighted sum of the T + 1 sets, and their weights."""
        weights = frame_weights(target, sets, similarities, **self.rules)
        heads = weights.shape[2]
        first = weights[0].unsqueeze(2) * target.unflatten(1, (heads, -1))
        others = torch.einsum("trnhw,trnchw->rnchw", weights[1:], sets.unflatten(2, (heads, -1)))
        return (first + others).flatten(1, 2), weights

    def sight(
        self,
        features: Tensor,
        boxes: Sequence[Tensor],
        spatial_scale: float,
        support: PackedSupport,
    ) -> Sight:
        """See `Extractor.sight`."""
        roi_features = self.align(features, boxes, spatial_scale)
        sets, points, scores = most_similar_roi_align(roi_features, support, top_k=self.top_k)
        _, weights = self._weighted(roi_features, sets, scores[:, :, 0])
        return Sight(points, scores, weights)

    def operations(self, rois: int, map_shape: tuple[int, int, int], support_frames: int) -> int:
        """See `Extractor.operations`: inner products with every cell."""
        channels, height, width = map_shape
        positions = rois * math.prod(self.output_size)
        return 2 * positions * channels * support_frames * height * width

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        rules = ", ".join(f"{name}={value!r}" for name, value in self.rules.items())
        return f"output_size={self.output_size}, top_k={self.top_k}, {rules}"
