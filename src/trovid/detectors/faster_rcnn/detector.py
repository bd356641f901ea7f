"""The detector: four models of the paper from one class, by the parts it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from trovid.backbones import Backbone
from trovid.detectors.candidates import Candidates
from trovid.detectors.contract import VideoDetector
from trovid.detectors.faster_rcnn.export_obstacle import export_obstacle
from trovid.detectors.faster_rcnn.roi_sampling import RoISampler, SampledRoIs, box_head_losses
from trovid.detectors.faster_rcnn.support import Support, supports_of
from trovid.detectors.faster_rcnn.taken_over import best_boxes, with_taken_over
from trovid.nn.box_head import BoxCoder, BoxHead, select_rois, without_small_boxes
from trovid.nn.inference_form import InferenceForm
from trovid.nn.level_pooler import LevelPooler
from trovid.nn.rpn import ProposalNetwork
from trovid.nn.similarity_aggregation import SimilarityAggregation
from trovid.structures import Detections, DetectOptions, TrainingBatch

Sizes = list[tuple[int, int]]


class Detector(VideoDetector):
    """A two-stage detector that may look at the other frames of the video.

    | extractor of `roi_features`  | `box_head`       | the paper's name             |
    |------------------------------|------------------|------------------------------|
    | RoIAlign                     | without SELSA    | single-frame Faster R-CNN    |
    | TemporalRoIAlign             | without SELSA    | + Temporal RoI Align         |
    | RoIAlign                     | with SELSA       | SELSA                        |
    | TemporalRoIAlign             | with SELSA       | SELSA + Temporal RoI Align   |

    Args:
        class_names: Names of the classes.
        backbone: Images Tensor[B, 3, H, W] to a dict of levels.
        rpn: Proposals from those levels.
        roi_features: Pools the target frame's proposals.
        support_roi_features: Pools the support frames' proposals (plain RoIAlign), where the box
            head uses them.
        box_head: RoI features to class logits and box deltas.
        aggregation: Sums a level over target and support frames before the RPN sees it.
        delta_stds: Deviations of the deltas x, y, w, h; the box head predicts deltas divided by
            them.
        samples: RoIs an image in the box head's loss.
        positive_fraction: Share of foreground among them at most.
        foreground_iou: IoU from which a RoI is foreground.
        smooth_l1_beta: Where the box loss goes from square to linear.
        smallest_box: Sides in pixels of the resized frame that a box must reach within the frame;
            the scores of others become 0.
        support_proposals: Boxes found in each support frame that are looked at in the target frame
            too, beside its own proposals; not in training.
    """

    def __init__(
        self,
        *,
        class_names: Sequence[str],
        backbone: Backbone,
        rpn: ProposalNetwork,
        roi_features: LevelPooler,
        box_head: BoxHead,
        support_roi_features: LevelPooler | None = None,
        aggregation: SimilarityAggregation | None = None,
        delta_stds: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2),
        samples: int = 256,
        positive_fraction: float = 0.25,
        foreground_iou: float = 0.5,
        smooth_l1_beta: float = 1.0,
        smallest_box: float = 0.0,
        support_proposals: int = 0,
    ) -> None:
        super().__init__()
        if len(class_names) != box_head.num_classes:
            raise ValueError(
                f"`class_names` must name the {box_head.num_classes} classes of the box head, "
                f"but has {len(class_names)} names"
            )
        self.class_names = tuple(class_names)
        self.smallest_box = smallest_box
        self.support_proposals = support_proposals
        self.backbone = backbone
        self.rpn = rpn
        if box_head.uses_support != (support_roi_features is not None):
            raise ValueError("`support_roi_features` must be given exactly where SELSA is used")
        self.roi_features = roi_features
        self.aggregation = aggregation
        levels = [] if aggregation is None else [aggregation.level]
        self.searched_levels = tuple(dict.fromkeys([*roi_features.searched_levels, *levels]))
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
        """Whether RoI features are gathered from support maps."""
        return bool(self.searched_levels)

    @property
    def uses_support(self) -> bool:
        """Whether support frames take any part."""
        taken_over = self.support_proposals > 0 and not self.training
        return self.searches_maps or self.box_head.uses_support or taken_over

    @property
    def dense_parts(self) -> tuple[nn.Module, ...]:
        """See `VideoDetector.dense_parts`: the backbone and the RPN's head."""
        return self.backbone, self.rpn.head

    @property
    def export_obstacle(self) -> str | None:
        """See `VideoDetector.export_obstacle`."""
        return export_obstacle(self.roi_features.extractor, self.searched_levels)

    def encode(
        self,
        images: Tensor,
        frame_indices: Sequence[int] | None = None,
        *,
        image_sizes: Sizes | None = None,
    ) -> Support:
        """See `VideoDetector.encode`."""
        indices = tuple(range(len(images)) if frame_indices is None else frame_indices)
        features = self.backbone(images)
        return self._supports(features, images, _sizes(images, image_sizes), [indices])[0]

    def detect(
        self,
        images: Tensor,
        support: Sequence[Support] | None = None,
        *,
        options: DetectOptions,
        image_sizes: Sizes | None = None,
    ) -> list[Detections] | list[Candidates]:
        """See `VideoDetector.detect`."""
        sizes = _sizes(images, image_sizes)
        if options.selection == "candidates":
            _, scored = self.scored_rois(images, support, options=options, image_sizes=sizes)
            return [
                Candidates(boxes, scores, self.class_names, image_size=size)
                for (boxes, scores, _), size in zip(scored, sizes, strict=True)
            ]
        chosen, further = self.chosen(images, support, options=options, image_sizes=sizes)
        counts = [len(boxes) for boxes, _, _ in chosen]
        parts = {name: output.split(counts) for name, output in further.items()}
        return [
            self.described(
                Detections(*tensors, self.class_names, image_size=size),
                {name: part[number] for name, part in parts.items()},
            )
            for number, (tensors, size) in enumerate(zip(chosen, sizes, strict=True))
        ]

    def described(self, found: Detections, further: dict[str, Tensor]) -> Any:
        """The detections of an image with what further heads say of them (`further_outputs`)."""
        return replace(found, embeddings=further["embeddings"]) if further else found

    def chosen(
        self,
        images: Tensor,
        support: Sequence[Support] | None,
        *,
        options: DetectOptions,
        image_sizes: Sizes,
    ) -> tuple[list[tuple[Tensor, Tensor, Tensor]], dict[str, Tensor]]:
        """What `detect` finds, as tensors alone; export traces it.

        Args:
            images: See `detect`.
            support: See `detect`.
            options: See `detect`.
            image_sizes: See `detect`.

        Returns:
            For each image boxes Tensor[N, 4], scores Tensor[N] and labels Tensor[N], best first;
            and by name what further heads say of them, image after image.
        """
        features, scored = self.scored_rois(
            images, support, options=options, image_sizes=image_sizes
        )
        rois, chosen = [], []
        for (boxes, scores, _), size in zip(scored, image_sizes, strict=True):
            roi, *tensors = select_rois(boxes, scores, size, options)
            rois.append(roi)
            chosen.append((tensors[0], tensors[1], tensors[2]))
        boxes, _, labels = zip(*chosen, strict=True)
        further = self.further_outputs(
            features, list(boxes), torch.cat(labels), image_sizes, support, options
        )
        if options.track == "embedding" and not self.embeds:
            pairs = zip(scored, rois, strict=True)
            further["embeddings"] = torch.cat([x[roi] for (_, _, x), roi in pairs])
        return chosen, further

    def levels(self, images: Tensor, support: Sequence[Support] | None) -> dict[str, Tensor]:
        """What all heads read of target frames."""
        return self.aggregated(self.backbone(images), support)

    def further_outputs(
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        labels: Tensor,
        image_sizes: Sizes,
        support: Sequence[Support] | None,
        options: DetectOptions,
    ) -> dict[str, Tensor]:
        """What further heads say of chosen boxes, by name, as far as it is asked for.

        Args:
            features: `levels`.
            boxes: For each image Tensor[N_i, 4].
            labels: Tensor[sum N_i].
            image_sizes: See `detect`.
            support: See `detect`.
            options: See `detect`.
        """
        return {}

    def scored_rois(
        self,
        images: Tensor,
        support: Sequence[Support] | None,
        *,
        options: DetectOptions,
        image_sizes: Sizes,
    ) -> tuple[dict[str, Tensor], list[tuple[Tensor, Tensor, Tensor]]]:
        """What `detect` chooses from, as tensors alone.

        Args:
            images: See `detect`.
            support: See `detect`.
            options: See `detect`.
            image_sizes: See `detect`.

        Returns:
            The `levels`, and for each image boxes Tensor[R, 1 or num_classes, 4] in its pixels,
            class scores Tensor[R, num_classes], and the last layer of the box head, Tensor[R, D].
        """
        features = self.levels(images, support)
        proposals, _ = self.rpn(images, features, image_sizes)
        if self.support_proposals and support is not None:
            triples = zip(proposals, support, image_sizes, strict=True)
            proposals = [with_taken_over(rois, bank.found, size) for rois, bank, size in triples]
        if options.target_among_support and self.uses_support:
            banks = supports_of(self, features, proposals, image_sizes, [(-1,)] * len(proposals))
            support = banks if support is None else list(map(Support.cat, zip(support, banks)))  # noqa: B905
        x, logits, deltas = self._heads(features, proposals, image_sizes, support)
        boxes = self.box_coder.decode(deltas, torch.cat(proposals))
        scores = logits.softmax(-1)[:, :-1]
        if options.classes is not None:
            wanted = [float(name in options.classes) for name in self.class_names]
            scores = scores * scores.new_tensor(wanted)
        counts = [rois.shape[0] for rois in proposals]
        parts = (boxes.split(counts), scores.split(counts), x.split(counts))
        scored = list(zip(*parts, strict=True))
        if not self.smallest_box:
            return features, scored
        return features, [
            (boxes, without_small_boxes(boxes, scores, size, self.smallest_box), embeddings)
            for (boxes, scores, embeddings), size in zip(scored, image_sizes, strict=True)
        ]

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """The losses of a batch; target and support frames go through the backbone together."""
        places, sizes = batch.target_positions, _sizes(batch.images, batch.image_sizes)
        target_sizes = [sizes[place] for place in places]
        images, support = batch.images[places], None
        whole = self.uses_support or bool(batch.references)
        every = batch.images.contiguous(memory_format=torch.channels_last) if whole else images
        levels = self.backbone(every)
        if self.uses_support:
            supports = self._supports(levels, batch.images, sizes, batch.frame_indices)
            support = [
                supports[clip].without(target).without(reference)
                for clip, target, reference in batch.targets_and_references()
            ]
        # after the support frames: gradients are summed in the reverse of this order
        features = {name: level[places] for name, level in levels.items()} if whole else levels
        if self.uses_support:
            features = self.aggregated(features, support)
        proposals, losses = self.rpn(images, features, target_sizes, batch.targets)
        sampled = self.sampler(proposals, batch.targets)
        _, logits, deltas = self._heads(features, sampled.proposals, target_sizes, support)
        own_losses = box_head_losses(logits, deltas, sampled, smooth_l1_beta=self.smooth_l1_beta)
        return {
            **losses,
            **own_losses,
            **self.further_losses(batch, levels, features, proposals, sampled, support),
        }

    def further_losses(
        self,
        batch: TrainingBatch,
        levels: dict[str, Tensor],
        features: dict[str, Tensor],
        proposals: list[Tensor],
        sampled: SampledRoIs,
        support: Sequence[Support] | None,
    ) -> dict[str, Tensor]:
        """The losses of further heads.

        Args:
            batch: The batch.
            levels: Of all its images (of the target frames alone where nothing else is looked at).
            features: Of its target frames.
            proposals: Of each target frame.
            sampled: Those of them that the box head was trained on.
            support: Of each target frame.
        """
        return {}

    def inference_form(self, form: InferenceForm) -> Self:
        """See `trovid.nn.inference_form`; what stays as it is stays in float32.

        Temporal RoI Align above all, and the RPN, whose rounding would move one box in thirty by
        more than a pixel (another choice among nearly equal proposals).
        """
        self.backbone = self.backbone.inference_form(form)
        self.box_head.inference_form(form)
        return self

    def _heads(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_sizes: Sizes,
        support: Sequence[Support] | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of the proposals of all images what the box head says (`BoxHead.forward`)."""
        roi_features = self.pool(features, proposals, image_sizes, support)
        embeddings = None if support is None else [bank.embedding or None for bank in support]
        counts = [boxes.shape[0] for boxes in proposals]
        return self.box_head(roi_features, counts, embeddings)

    def aggregated(
        self, features: dict[str, Tensor], support: Sequence[Support] | None
    ) -> dict[str, Tensor]:
        """The target frames' levels, with one summed over the support frames where that is so."""
        if self.aggregation is None or support is None:
            return features
        return self.aggregation(features, [bank.maps[self.aggregation.level] for bank in support])

    def pool(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_sizes: Sizes,
        support: Sequence[Support] | None,
    ) -> Tensor:
        """RoI features Tensor[R, C, h, w] of the proposals, temporal ones where there are maps."""
        maps = None if support is None else [bank.maps for bank in support]
        return self.roi_features(features, proposals, image_sizes, self.roi_features.joined(maps))

    def _supports(
        self,
        features: dict[str, Tensor],
        images: Tensor,
        image_sizes: Sizes,
        frame_indices: Sequence[Sequence[int]],
    ) -> list[Support]:
        """The Support of each video from the features of its frames, Tensor[sum T, ...] a level."""
        proposals = None
        if self.support_roi_features is not None or self.support_proposals:
            with torch.no_grad():
                proposals, _ = self.rpn(images, features, image_sizes)
        return supports_of(self, features, proposals, image_sizes, frame_indices)

    def found_alone(
        self, features: dict[str, Tensor], proposals: list[Tensor], image_sizes: Sizes
    ) -> list[Tensor]:
        """What single support frames show, without other frames: see `best_boxes`."""
        _, logits, deltas = self._heads(features, proposals, image_sizes, None)
        boxes = self.box_coder.decode(deltas, torch.cat(proposals))
        counts, scores = [len(rois) for rois in proposals], logits.softmax(-1)[:, :-1]
        parts = zip(boxes.split(counts), scores.split(counts), image_sizes, strict=True)
        return [best_boxes(*part, self.support_proposals) for part in parts]


def _sizes(images: Tensor, image_sizes: Sizes | None) -> Sizes:
    """The size of each image before padding (by default all of it)."""
    return image_sizes or [(images.shape[-2], images.shape[-1])] * len(images)
