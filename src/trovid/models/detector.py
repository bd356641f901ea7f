"""The detector: four models of the paper from one class, by the parts it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder

from trovid.models.postprocess import ScoredBoxes
from trovid.models.roi_sampling import RoISampler, box_head_losses
from trovid.models.rpn import ProposalNetwork, image_list
from trovid.models.support import SupportBank
from trovid.nn import MultiScaleRoIAlign, MultiScaleTemporalRoIAlign
from trovid.nn.box_head import BoxHead, SupportEmbedding
from trovid.ops import PackedSupport, pack_support

Losses = dict[str, Tensor]


class Detector(nn.Module):
    """A two-stage detector that may look at the other frames of the video.

    | `roi_features`               | `box_head`       | the paper's name             |
    |------------------------------|------------------|------------------------------|
    | MultiScaleRoIAlign           | without SELSA    | single-frame Faster R-CNN    |
    | MultiScaleTemporalRoIAlign   | without SELSA    | + Temporal RoI Align         |
    | MultiScaleRoIAlign           | with SELSA       | SELSA                        |
    | MultiScaleTemporalRoIAlign   | with SELSA       | SELSA + Temporal RoI Align   |

    Args:
        backbone: Images Tensor[B, 3, H, W] to a dict of levels.
        rpn: Proposals from those levels.
        roi_features: Pools the target frame's proposals.
        support_roi_features: Pools the support frames' proposals (plain RoIAlign), where the box
            head uses them.
        box_head: RoI features to class logits and box deltas.
        samples: RoIs an image in the box head's loss.
        box_weights: Scale of the deltas x, y, w, h (10 10 5 5: deviations .1 .1 .2 .2).
    """

    def __init__(
        self,
        *,
        backbone: nn.Module,
        rpn: ProposalNetwork,
        roi_features: MultiScaleRoIAlign | MultiScaleTemporalRoIAlign,
        box_head: BoxHead,
        support_roi_features: MultiScaleRoIAlign | None = None,
        samples: int = 256,
        box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0),
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.rpn = rpn
        if box_head.uses_support != (support_roi_features is not None):
            raise ValueError("`support_roi_features` must be given exactly where SELSA is used")
        self.roi_features = roi_features
        self.support_roi_features = support_roi_features
        self.box_head = box_head
        self.box_coder = BoxCoder(box_weights)
        self.sampler = RoISampler(
            num_classes=box_head.num_classes, box_coder=self.box_coder, samples=samples
        )

    @property
    def searches_maps(self) -> bool:
        """Whether RoI features are gathered from support maps (Temporal RoI Align)."""
        return isinstance(self.roi_features, MultiScaleTemporalRoIAlign)

    @property
    def uses_support(self) -> bool:
        """Whether support frames take any part."""
        return self.searches_maps or self.box_head.uses_support

    def forward(
        self,
        images: Tensor,
        support: Sequence[SupportBank] | None = None,
        targets: list[dict[str, Tensor]] | None = None,
        *,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[ScoredBoxes] | Losses:
        """Detects in target frames, or with targets returns the losses.

        Args:
            images: Tensor[B, 3, H, W], normalised target frames.
            support: For each image the bank of its video; None for none.
            targets: For each image `boxes` Tensor[N, 4] and `labels` Tensor[N].
            image_sizes: Height and width of each image before padding.

        Returns:
            For each image its scored boxes, or with targets the losses by name.
        """
        return self.detect(self.backbone(images), images, support, targets, image_sizes=image_sizes)

    @overload
    def detect(
        self,
        features: dict[str, Tensor],
        images: Tensor,
        support: Sequence[SupportBank] | None = None,
        targets: None = None,
        *,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[ScoredBoxes]: ...

    @overload
    def detect(
        self,
        features: dict[str, Tensor],
        images: Tensor,
        support: Sequence[SupportBank] | None,
        targets: list[dict[str, Tensor]],
        *,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> Losses: ...

    def detect(
        self,
        features: dict[str, Tensor],
        images: Tensor,
        support: Sequence[SupportBank] | None = None,
        targets: list[dict[str, Tensor]] | None = None,
        *,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[ScoredBoxes] | Losses:
        """`forward` from the features of the target frames on."""
        batch = image_list(images, image_sizes)
        proposals, losses = self.rpn(batch, features, targets)
        sampled = None if targets is None else self.sampler(proposals, targets)
        if sampled is not None:
            proposals = sampled.proposals

        roi_features = self.pool(features, proposals, batch.image_sizes, support)
        counts = [len(p) for p in proposals]
        embeddings = None if support is None else [bank.embedding or None for bank in support]
        logits, deltas = self.box_head(roi_features, counts, embeddings)

        if sampled is not None:
            return {**losses, **box_head_losses(logits, deltas, sampled)}
        boxes = self.box_coder.decode(deltas, proposals)
        scores = logits.softmax(-1)[:, :-1]
        return [
            ScoredBoxes(b, s)
            for b, s in zip(boxes.split(counts), scores.split(counts), strict=True)
        ]

    def pool(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_sizes: list[tuple[int, int]],
        support: Sequence[SupportBank] | None,
    ) -> Tensor:
        """RoI features Tensor[R, C, h, w] of the proposals, temporal ones where there are maps."""
        if not self.searches_maps:
            return self.roi_features(features, proposals, image_sizes)
        maps = {
            name: PackedSupport.batch([bank.maps[name] for bank in support])
            if support is not None
            else level.new_zeros((len(level), 0, *level.shape[1:]))
            for name, level in features.items()
        }
        return self.roi_features(features, maps, proposals, image_sizes)

    def encode_support(
        self,
        images: Tensor,
        frame_indices: Sequence[int] | None = None,
        *,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> SupportBank:
        """All that depends on the support frames of one video alone.

        Args:
            images: Tensor[T, 3, H, W], normalised support frames.
            frame_indices: Their indices in the video (by default 0..T-1).
            image_sizes: Height and width of each image before padding.
        """
        indices = tuple(range(len(images)) if frame_indices is None else frame_indices)
        return self.banks(self.backbone(images), images, [indices], image_sizes=image_sizes)[0]

    def banks(
        self,
        features: dict[str, Tensor],
        images: Tensor,
        frame_indices: Sequence[Sequence[int]],
        *,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[SupportBank]:
        """`encode_support` from the features on, for the support frames of several videos.

        Args:
            features: Levels of Tensor[sum T, C, H, W], video after video.
            images: Tensor[sum T, 3, H, W].
            frame_indices: For each video the indices of its support frames.
            image_sizes: Height and width of each image before padding.
        """
        counts = [len(indices) for indices in frame_indices]
        maps: dict[str, list[PackedSupport]] = {}
        if self.searches_maps:
            maps = {
                name: [pack_support(video) for video in level.split(counts)]
                for name, level in features.items()
            }
        proposals: list[list[Tensor]] = [[] for _ in counts]
        embeddings: list[SupportEmbedding] = [[] for _ in counts]
        if self.support_roi_features is not None:
            batch = image_list(images, image_sizes)
            with torch.no_grad():
                found, _ = self.rpn(batch, features)
            rois = self.support_roi_features(features, found, batch.image_sizes)
            starts = [sum(counts[:i]) for i in range(len(counts))]
            proposals = [found[s : s + n] for s, n in zip(starts, counts, strict=True)]
            per_video = [sum(len(p) for p in video) for video in proposals]
            for keys, values in self.box_head.embed_support(rois):
                pairs = zip(keys.split(per_video), values.split(per_video), strict=True)
                for embedding, pair in zip(embeddings, pairs, strict=True):
                    embedding.append(pair)
        return [
            SupportBank(
                frame_indices=tuple(indices),
                maps={name: videos[i] for name, videos in maps.items()},
                proposals=tuple(proposals[i]),
                embedding=embeddings[i],
            )
            for i, indices in enumerate(frame_indices)
        ]
