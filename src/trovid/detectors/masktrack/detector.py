"""Mask R-CNN (He et al., 2017), and with a track head MaskTrack R-CNN (Yang et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.faster_rcnn.roi_sampling import RoISampler, SampledRoIs
from trovid.detectors.faster_rcnn.support import Support
from trovid.detectors.masktrack.instances import Instances
from trovid.errors import OptionError
from trovid.nn.inference_form import InferenceForm
from trovid.nn.level_pooler import LevelPooler
from trovid.nn.mask_head import MaskHead, maps_of, mask_loss, mask_targets
from trovid.nn.track_head import TrackHead, match_logits, track_loss
from trovid.structures import Detections, DetectOptions, TrainingBatch


class MaskTrackRCNN(Detector):
    """A two-stage detector that says of its boxes which pixels and which objects they are.

    The heads read the chosen boxes inside `detect`. The identities themselves are not its matter:
    it says what tells objects apart (`Detections.embeddings`), and whoever runs the video remembers
    them (`trovid.tracking`).

    Args:
        mask_features: Pools the boxes for the mask head, by RoIAlign or Temporal RoI Align.
        mask_head: RoI features to maps; None for no masks.
        mask_threshold: From which probability a pixel belongs to the object.
        track_features: Pools the boxes for the track head.
        track_head: RoI features to embeddings; None for none.
        track_samples: RoIs an image of which the objects' own are in the track head's loss.
        track_positive_fraction: Share of the objects' own among them at most.
        track_iou: IoU from which a RoI is an object's own.
        parts: Those of a Detector.
    """

    def __init__(
        self,
        *,
        mask_features: LevelPooler | None = None,
        mask_head: MaskHead | None = None,
        mask_threshold: float = 0.5,
        track_features: LevelPooler | None = None,
        track_head: TrackHead | None = None,
        track_samples: int = 128,
        track_positive_fraction: float = 0.25,
        track_iou: float = 0.5,
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        for name, pooler, head in (
            ("mask", mask_features, mask_head),
            ("track", track_features, track_head),
        ):
            if (pooler is None) != (head is None):
                raise ValueError(f"`{name}_features` and `{name}_head` must be given together")
        self.mask_features, self.mask_head = mask_features, mask_head
        self.mask_threshold = mask_threshold
        self.track_features, self.track_head = track_features, track_head
        further = [pooler for pooler in (mask_features, track_features) if pooler is not None]
        searched = [name for pooler in further for name in pooler.searched_levels]
        self.searched_levels = tuple(dict.fromkeys([*self.searched_levels, *searched]))
        self.track_sampler = RoISampler(
            num_classes=self.box_head.num_classes,
            box_coder=self.box_coder,
            samples=track_samples,
            positive_fraction=track_positive_fraction,
            iou=track_iou,
        )

    @property
    def segments(self) -> bool:
        """See `VideoDetector.segments`."""
        return self.mask_head is not None

    @property
    def embeds(self) -> bool:
        """See `VideoDetector.embeds`."""
        return self.track_head is not None

    def inference_form(self, form: InferenceForm) -> Self:
        """See `trovid.nn.inference_form`; masks and embeddings are computed in float32."""
        super().inference_form(form)
        if self.track_head is not None:
            self.track_head.inference_form(form)
        return self

    def described(self, found: Detections, further: dict[str, Tensor]) -> Any:
        """See `Detector.described`; with masks an `Instances`."""
        maps = further.pop("mask_probabilities", None)
        detections = super().described(found, further)
        return detections if maps is None else Instances(detections, maps, self.mask_threshold)

    def further_outputs(
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        labels: Tensor,
        image_sizes: list[tuple[int, int]],
        support: Sequence[Support] | None,
        options: DetectOptions,
    ) -> dict[str, Tensor]:
        """See `Detector.further_outputs`: `mask_probabilities` on the boxes, and `embeddings`."""
        outputs = {}
        if self.mask_head is not None and options.masks:
            outputs["mask_probabilities"] = self._probabilities(
                features, boxes, labels, image_sizes, support
            )
        if self.track_head is not None and options.track == "embedding":
            outputs["embeddings"] = self._embeddings(features, boxes, image_sizes, support)
        return outputs

    def _embeddings(
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        sizes: list[tuple[int, int]],
        support: Sequence[Support] | None,
    ) -> Tensor:
        assert self.track_head is not None
        assert self.track_features is not None
        return self.track_head(self._pooled(self.track_features, features, boxes, sizes, support))

    def _probabilities(
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        labels: Tensor,
        sizes: list[tuple[int, int]],
        support: Sequence[Support] | None,
    ) -> Tensor:
        assert self.mask_head is not None
        assert self.mask_features is not None
        rois = self._pooled(self.mask_features, features, boxes, sizes, support)
        return maps_of(self.mask_head(rois), labels).sigmoid()

    def _pooled(
        self,
        pooler: LevelPooler,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        sizes: list[tuple[int, int]],
        support: Sequence[Support] | None,
    ) -> Tensor:
        maps = None if support is None else [bank.maps for bank in support]
        return pooler(features, boxes, sizes, pooler.joined(maps))

    def further_losses(
        self,
        batch: TrainingBatch,
        levels: dict[str, Tensor],
        features: dict[str, Tensor],
        proposals: list[Tensor],
        sampled: SampledRoIs,
        support: Sequence[Support] | None,
    ) -> dict[str, Tensor]:
        """The losses `masks` (of the objects' RoIs among the sampled) and `track`."""
        losses = {}
        if self.mask_head is not None:
            losses["masks"] = self._mask_loss(batch, features, sampled, support)
        if self.track_head is not None:
            track_rois = self.track_sampler(proposals, batch.targets)
            losses["track"] = self._track_loss(batch, levels, features, track_rois, support)
        return losses

    def _mask_loss(
        self,
        batch: TrainingBatch,
        features: dict[str, Tensor],
        sampled: SampledRoIs,
        support: Sequence[Support] | None,
    ) -> Tensor:
        assert self.mask_head is not None
        assert self.mask_features is not None
        boxes, objects = _foreground(sampled)
        rois = self._pooled(self.mask_features, features, boxes, batch.target_sizes, support)
        logits = self.mask_head(rois)
        parts = list(zip(batch.targets, objects, boxes, strict=True))
        labels = torch.cat([target["labels"][rows] for target, rows, _ in parts])
        wanted = [
            mask_targets(t["masks"], rows, frame_boxes, logits.shape[-1])
            for t, rows, frame_boxes in parts
        ]
        return mask_loss(logits, labels, torch.cat(wanted))

    def _track_loss(
        self,
        batch: TrainingBatch,
        levels: dict[str, Tensor],
        features: dict[str, Tensor],
        sampled: SampledRoIs,
        support: Sequence[Support] | None,
    ) -> Tensor:
        """Of pairs of frames; the reference frame's objects are pooled from its labelled boxes."""
        assert self.track_head is not None
        if not batch.references:
            raise OptionError(
                "`batch.references` must name a frame for each target frame, which the track head "
                "needs, but is empty: set training.reference_window"
            )
        boxes, objects = _foreground(sampled)
        sizes = batch.target_sizes
        x = self._embeddings(features, boxes, sizes, support)
        others = {name: level[batch.references] for name, level in levels.items()}
        known = [target["boxes"].to(x.dtype) for target in batch.reference_targets]
        memory = self._embeddings(others, known, sizes, None)
        logits = map(
            match_logits,
            x.split([len(frame_boxes) for frame_boxes in boxes]),
            memory.split(list(map(len, known))),
        )
        matches = [
            _matches(target["instance_ids"][rows], other["instance_ids"])
            for target, rows, other in zip(
                batch.targets, objects, batch.reference_targets, strict=True
            )
        ]
        return track_loss(list(logits), matches)


def _foreground(sampled: SampledRoIs) -> tuple[list[Tensor], list[Tensor]]:
    """For each image the objects' own RoIs and the rows of their objects."""
    pairs = list(zip(sampled.proposals, sampled.objects, strict=True))
    return [boxes[rows >= 0] for boxes, rows in pairs], [rows[rows >= 0] for _, rows in pairs]


def _matches(ids: Tensor, known: Tensor) -> Tensor:
    """For each id its place among the known ones + 1, or 0."""
    same = ids[:, None] == known
    places = torch.arange(1, len(known) + 1, device=ids.device)
    return (same * places).sum(1)
