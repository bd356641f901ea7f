"""The detector: four models of the paper from one class, by the parts it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder

from trovid.detectors.candidates import ScoredBoxes, without_small_boxes
from trovid.detectors.faster_rcnn.roi_sampling import RoISampler, box_head_losses
from trovid.detectors.faster_rcnn.support import SupportBank
from trovid.nn import MultiScaleRoIAlign, MultiScaleTemporalRoIAlign
from trovid.nn.box_head import BoxHead, SupportEmbedding
from trovid.nn.rpn import ProposalNetwork, image_list
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
        delta_stds: Deviations of the deltas x, y, w, h; the box head predicts deltas divided by
            them.
        samples: RoIs an image in the box head's loss.
        positive_fraction: Share of foreground among them at most.
        foreground_iou: IoU from which a RoI is foreground.
        smooth_l1_beta: Where the box loss goes from square to linear.
        smallest_box: Sides in pixels of the resized frame that a box must reach within the frame;
            the scores of others become 0.

    Attributes:
        temporal_trained: Whether the parts that read support frames were trained. Where they were
            not, a Predictor runs the detector on single frames and says so.
    """

    def __init__(
        self,
        *,
        backbone: nn.Module,
        rpn: ProposalNetwork,
        roi_features: MultiScaleRoIAlign | MultiScaleTemporalRoIAlign,
        box_head: BoxHead,
        support_roi_features: MultiScaleRoIAlign | None = None,
        delta_stds: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2),
        samples: int = 256,
        positive_fraction: float = 0.25,
        foreground_iou: float = 0.5,
        smooth_l1_beta: float = 1.0,
        smallest_box: float = 0.0,
    ) -> None:
        super().__init__()
        self.smallest_box = smallest_box
        self.temporal_trained = True
        self.backbone = backbone
        self.rpn = rpn
        if box_head.uses_support != (support_roi_features is not None):
            raise ValueError("`support_roi_features` must be given exactly where SELSA is used")
        self.roi_features = roi_features
        self.searched_levels: tuple[str, ...] = ()
        if isinstance(roi_features, MultiScaleTemporalRoIAlign):
            names = roi_features.featmap_names
            self.searched_levels = tuple(dict.fromkeys(map(roi_features.searched_level, names)))
        self.support_roi_features = support_roi_features
        self.box_head = box_head
        x, y, width, height = delta_stds
        self.box_coder = BoxCoder((1 / x, 1 / y, 1 / width, 1 / height))
        self.smooth_l1_beta = smooth_l1_beta
        self.sampler = RoISampler(
            num_classes=box_head.num_classes,
            box_coder=self.box_coder,
            samples=samples,
            positive_fraction=positive_fraction,
            iou=foreground_iou,
        )

    @property
    def searches_maps(self) -> bool:
        """Whether RoI features are gathered from support maps (Temporal RoI Align)."""
        return bool(self.searched_levels)

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
        target_among_support: bool = False,
    ) -> list[ScoredBoxes] | Losses:
        """Detects in target frames, or with targets returns the losses.

        Args:
            images: Tensor[B, 3, H, W], normalised target frames.
            support: For each image the bank of its video; None for none.
            targets: For each image `boxes` Tensor[N, 4] and `labels` Tensor[N].
            image_sizes: Height and width of each image before padding.
            target_among_support: Whether each target frame is also its own last support frame.

        Returns:
            For each image its scored boxes, or with targets the losses by name.
        """
        return self.detect(
            self.backbone(images),
            images,
            support,
            targets,
            image_sizes=image_sizes,
            target_among_support=target_among_support,
        )

    @overload
    def detect(
        self,
        features: dict[str, Tensor],
        images: Tensor,
        support: Sequence[SupportBank] | None = None,
        targets: None = None,
        *,
        image_sizes: list[tuple[int, int]] | None = None,
        target_among_support: bool = False,
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
        target_among_support: bool = False,
    ) -> Losses: ...

    def detect(
        self,
        features: dict[str, Tensor],
        images: Tensor,
        support: Sequence[SupportBank] | None = None,
        targets: list[dict[str, Tensor]] | None = None,
        *,
        image_sizes: list[tuple[int, int]] | None = None,
        target_among_support: bool = False,
    ) -> list[ScoredBoxes] | Losses:
        """`forward` from the features of the target frames on."""
        batch = image_list(images, image_sizes)
        proposals, losses = self.rpn(batch, features, targets)
        if target_among_support:
            support = self.append_targets(support, features, proposals, batch.image_sizes)
        sampled = None if targets is None else self.sampler(proposals, targets)
        if sampled is not None:
            proposals = sampled.proposals

        roi_features = self.pool(features, proposals, batch.image_sizes, support)
        counts = [len(p) for p in proposals]
        embeddings = None if support is None else [bank.embedding or None for bank in support]
        logits, deltas = self.box_head(roi_features, counts, embeddings)

        if sampled is not None:
            own = box_head_losses(logits, deltas, sampled, smooth_l1_beta=self.smooth_l1_beta)
            return {**losses, **own}
        boxes = self.box_coder.decode(deltas, proposals).view(-1, deltas.shape[1] // 4, 4)
        scores = logits.softmax(-1)[:, :-1]
        found = [
            ScoredBoxes(b, s)
            for b, s in zip(boxes.split(counts), scores.split(counts), strict=True)
        ]
        if not self.smallest_box:
            return found
        sizes = zip(found, batch.image_sizes, strict=True)
        return [without_small_boxes(one, size, self.smallest_box) for one, size in sizes]

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
            else features[name].new_zeros((len(features[name]), 0, *features[name].shape[1:]))
            for name in self.searched_levels
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
        batch = image_list(images, image_sizes)
        proposals = None
        if self.support_roi_features is not None:
            with torch.no_grad():
                proposals, _ = self.rpn(batch, features)
        return self._banks(features, proposals, batch.image_sizes, frame_indices)

    def append_targets(
        self,
        support: Sequence[SupportBank] | None,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_sizes: list[tuple[int, int]],
    ) -> list[SupportBank]:
        """The banks with each target frame itself as last support frame, of index -1.

        Args:
            support: For each image the bank of its video; None for none.
            features: Levels of Tensor[B, C, H, W].
            proposals: For each image Tensor[R_i, 4].
            image_sizes: Height and width of each image before padding.
        """
        own = self._banks(features, proposals, image_sizes, [(-1,)] * len(proposals))
        if support is None:
            return own
        return [SupportBank.cat(pair) for pair in zip(support, own, strict=True)]

    def _banks(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor] | None,
        image_sizes: list[tuple[int, int]],
        frame_indices: Sequence[Sequence[int]],
    ) -> list[SupportBank]:
        counts = [len(indices) for indices in frame_indices]
        maps = {
            name: [pack_support(video) for video in features[name].split(counts)]
            for name in self.searched_levels
        }
        kept: list[list[Tensor]] = [[] for _ in counts]
        embeddings: list[SupportEmbedding] = [[] for _ in counts]
        if self.support_roi_features is not None and proposals is not None:
            rois = self.support_roi_features(features, proposals, image_sizes)
            starts = [sum(counts[:i]) for i in range(len(counts))]
            kept = [proposals[s : s + n] for s, n in zip(starts, counts, strict=True)]
            per_video = [sum(len(p) for p in video) for video in kept]
            for keys, values in self.box_head.embed_support(rois):
                pairs = zip(keys.split(per_video), values.split(per_video), strict=True)
                for embedding, pair in zip(embeddings, pairs, strict=True):
                    embedding.append(pair)
        return [
            SupportBank(
                frame_indices=tuple(indices),
                maps={name: videos[i] for name, videos in maps.items()},
                proposals=tuple(kept[i]),
                embedding=embeddings[i],
            )
            for i, indices in enumerate(frame_indices)
        ]
