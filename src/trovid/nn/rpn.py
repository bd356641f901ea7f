"""The region proposal network: torchvision's, callable with and without losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import (
    RegionProposalNetwork,
    RPNHead,
    concat_box_prediction_layers,
)
from torchvision.ops import Conv2dNormActivation

FIRST_LOOK = 4
"""How many boxes, as a multiple of those wanted, the suppression looks at first."""


class FullPrecisionRPNHead(RPNHead):
    """torchvision's RPN head whose outputs are float32 under autocast too.

    Args:
        in_channels: Channels of every level.
        num_anchors: Anchors at a place.
        channels: Channels of the 3x3 convolution; None for `in_channels`.
    """

    def __init__(self, in_channels: int, num_anchors: int, channels: int | None = None) -> None:
        super().__init__(channels or in_channels, num_anchors)
        if channels not in (None, in_channels):
            convolution = Conv2dNormActivation(in_channels, channels, 3, norm_layer=None)
            for parameter in convolution.parameters():
                nn.init.normal_(parameter, std=0.01 if parameter.dim() > 1 else 0.0)
            self.conv = nn.Sequential(convolution)

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """List of Tensor[B, C, H, W] to objectness and deltas of each level."""
        objectness, deltas = super().forward(x)
        return [o.float() for o in objectness], [d.float() for d in deltas]


class Anchors(AnchorGenerator):
    """torchvision's anchors, whose sides may also stay as they are.

    Args:
        sizes: For each level the anchors' side lengths in pixels.
        aspect_ratios: Height over width of the anchors, for all levels.
        rounded: Whether half the sides are rounded to whole pixels, as in torchvision.
    """

    def __init__(
        self, sizes: Sequence[Sequence[int]], aspect_ratios: Sequence[float], *, rounded: bool
    ) -> None:
        self.rounded = rounded
        super().__init__(
            tuple(tuple(level) for level in sizes), tuple(tuple(aspect_ratios) for _ in sizes)
        )

    def generate_anchors(
        self,
        scales: list[int],
        aspect_ratios: list[float],
        dtype: torch.dtype = torch.float32,
        device: torch.device = torch.device("cpu"),  # noqa: B008
    ) -> Tensor:
        """Tensor[sizes * ratios, 4] around the origin, ratio after ratio."""
        if self.rounded:
            return super().generate_anchors(scales, aspect_ratios, dtype, device)
        sides = torch.as_tensor(scales, dtype=dtype, device=device)
        heights = torch.as_tensor(aspect_ratios, dtype=dtype, device=device).sqrt().unsqueeze(1)
        half_h, half_w = (heights * sides).flatten() / 2, (sides / heights).flatten() / 2
        return torch.stack([-half_w, -half_h, half_w, half_h], dim=1)


class AnchorMatcher(Matcher):
    """torchvision's matcher, with a bound for the best anchor of an object.

    Args:
        foreground_iou: IoU from which an anchor is positive.
        background_iou: IoU below which it is negative.
        lowest_iou: IoU from which the best anchor of an object is positive even so.
    """

    def __init__(self, foreground_iou: float, background_iou: float, lowest_iou: float) -> None:
        super().__init__(foreground_iou, background_iou, allow_low_quality_matches=True)
        self.lowest_iou = lowest_iou

    def set_low_quality_matches_(
        self, matches: Tensor, all_matches: Tensor, match_quality_matrix: Tensor
    ) -> None:
        """Changes `matches` Tensor[A], given IoUs Tensor[N, A] of objects and anchors."""
        reached = match_quality_matrix.amax(1) >= self.lowest_iou
        super().set_low_quality_matches_(matches, all_matches, match_quality_matrix[reached])


class ProposalNetwork(RegionProposalNetwork):
    """Anchors, objectness and box deltas on every level, then the best proposals of an image.

    Args:
        in_channels: Channels of every level.
        levels: Names of the levels used, finest first.
        channels: Channels of the head's 3x3 convolution; None for `in_channels`.
        anchor_sizes: For each level the anchors' side lengths in pixels.
        aspect_ratios: Height over width of the anchors, for all levels.
        rounded_anchors: See Anchors.
        pre_nms: Proposals an image before suppression, in training and at test.
        post_nms: Proposals an image after it, in training and at test.
        nms: IoU above which the lower of two proposals goes.
        samples: Anchors an image in the loss.
        positive_fraction: Share of positive ones at most.
        foreground_iou: IoU from which an anchor is positive.
        background_iou: IoU below which it is negative.
        lowest_iou: IoU from which the best anchor of an object is positive even so.
        allowed_border: Pixels by which an anchor in the loss may lie outside the image; None for
            any anchor.
        smooth_l1_beta: Where the box loss goes from square to linear.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        levels: Sequence[str] = ("0",),
        channels: int | None = None,
        anchor_sizes: Sequence[Sequence[int]],
        aspect_ratios: Sequence[float],
        rounded_anchors: bool = True,
        pre_nms: tuple[int, int],
        post_nms: tuple[int, int],
        nms: float = 0.7,
        samples: int = 256,
        positive_fraction: float = 0.5,
        foreground_iou: float = 0.7,
        background_iou: float = 0.3,
        lowest_iou: float = 0.0,
        allowed_border: int | None = None,
        smooth_l1_beta: float = 1 / 9,
    ) -> None:
        if len(levels) != len(anchor_sizes):
            raise ValueError(
                f"`anchor_sizes` must have a list for each of the levels {list(levels)}, "
                f"but has {len(anchor_sizes)}"
            )
        anchors = Anchors(anchor_sizes, aspect_ratios, rounded=rounded_anchors)
        super().__init__(
            anchors,
            FullPrecisionRPNHead(in_channels, anchors.num_anchors_per_location()[0], channels),
            fg_iou_thresh=foreground_iou,
            bg_iou_thresh=background_iou,
            batch_size_per_image=samples,
            positive_fraction=positive_fraction,
            pre_nms_top_n={"training": pre_nms[0], "testing": pre_nms[1]},
            post_nms_top_n={"training": post_nms[0], "testing": post_nms[1]},
            nms_thresh=nms,
        )
        self.proposal_matcher = AnchorMatcher(foreground_iou, background_iou, lowest_iou)
        self.levels = tuple(levels)
        self.allowed_border = allowed_border
        self.smooth_l1_beta = smooth_l1_beta

    @classmethod
    def from_torchvision(cls, network: nn.Module, levels: Sequence[str]) -> ProposalNetwork:
        """The same network with the parts of torchvision's, on the named levels."""
        rpn: Any = network
        matcher, sampler = rpn.proposal_matcher, rpn.fg_bg_sampler
        own = cls(
            in_channels=rpn.head.cls_logits.in_channels,
            levels=levels,
            anchor_sizes=rpn.anchor_generator.sizes,
            aspect_ratios=rpn.anchor_generator.aspect_ratios[0],
            pre_nms=(rpn._pre_nms_top_n["training"], rpn._pre_nms_top_n["testing"]),
            post_nms=(rpn._post_nms_top_n["training"], rpn._post_nms_top_n["testing"]),
            nms=rpn.nms_thresh,
            samples=sampler.batch_size_per_image,
            positive_fraction=sampler.positive_fraction,
            foreground_iou=matcher.high_threshold,
            background_iou=matcher.low_threshold,
        )
        own.anchor_generator = rpn.anchor_generator
        own.score_thresh, own.min_size = rpn.score_thresh, rpn.min_size
        for part in ("conv", "cls_logits", "bbox_pred"):
            setattr(own.head, part, getattr(rpn.head, part))
        return own

    def forward(
        self,
        images: ImageList,
        features: dict[str, Tensor],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The proposals of each image, and with targets the two losses.

        Args:
            images: The batch, whose `image_sizes` bound the proposals.
            features: Levels of Tensor[B, C, H, W].
            targets: For each image `boxes` Tensor[N, 4]; None where no loss is wanted.

        Returns:
            A list of Tensor[R_i, 4], best first, without gradient; the losses by name.
        """
        levels = [features[name] for name in self.levels]
        objectness, deltas = self.head(levels)
        anchors = self.anchor_generator(images, levels)
        per_level = [o[0].numel() for o in objectness]
        scores, flat_deltas = concat_box_prediction_layers(objectness, deltas)
        boxes = self.box_coder.decode(flat_deltas.detach(), anchors)
        boxes = boxes.view(len(anchors), -1, 4)
        proposals, _ = self.filter_proposals(boxes, scores, images.image_sizes, per_level)
        if targets is None:
            return proposals, {}
        labels, wanted = self.wanted(anchors, images.image_sizes, targets)
        loss_objectness, loss_boxes = self.compute_loss(scores, flat_deltas, labels, wanted)
        return proposals, {"rpn_objectness": loss_objectness, "rpn_boxes": loss_boxes}

    def wanted(
        self,
        anchors: list[Tensor],
        image_sizes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """What the loss asks of the anchors of each image, as `compute_loss` takes it.

        Args:
            anchors: For each image Tensor[A_i, 4].
            image_sizes: Height and width of each image.
            targets: For each image `boxes` Tensor[N, 4].
        """
        if self.allowed_border is None:
            labels, matched = self.assign_targets_to_anchors(anchors, targets)
            return labels, list(self.box_coder.encode(matched, anchors))
        labels = [boxes.new_full((len(boxes),), -1.0) for boxes in anchors]
        deltas = [torch.zeros_like(boxes) for boxes in anchors]
        for i, (boxes, size) in enumerate(zip(anchors, image_sizes, strict=True)):
            inside = _inside(boxes, size, self.allowed_border)
            if inside.any():
                own = [boxes[inside]]
                (found,), matched = self.assign_targets_to_anchors(own, targets[i : i + 1])
                labels[i][inside] = found
                deltas[i][inside] = self.box_coder.encode(matched, own)[0]
        return labels, deltas

    def filter_proposals(
        self,
        proposals: Tensor,
        objectness: Tensor,
        image_shapes: list[tuple[int, int]],
        num_anchors_per_level: list[int],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The best boxes of each image after suppression, as torchvision chooses them.

        On a single level it looks at the highest scores first: whether a box is suppressed depends
        on higher ones alone, so where enough of these stay, the others need no look.

        Args:
            proposals: Tensor[B, A, 4].
            objectness: Tensor[B * A, 1], logits.
            image_shapes: Height and width that boxes are clipped to.
            num_anchors_per_level: They sum to A.

        Returns:
            For each image Tensor[R_i, 4] and its scores Tensor[R_i], best first.
        """
        wanted = self.post_nms_top_n()
        few = FIRST_LOOK * wanted
        if len(num_anchors_per_level) == 1 and few < min(
            self.pre_nms_top_n(), num_anchors_per_level[0]
        ):
            scores, best = objectness.detach().view(len(proposals), -1).topk(few, dim=1)
            boxes = proposals.gather(1, best.unsqueeze(2).expand(-1, -1, 4))
            found = super().filter_proposals(boxes, scores.flatten(), image_shapes, [few])
            if all(len(kept) == wanted for kept in found[0]):
                return found
        return super().filter_proposals(proposals, objectness, image_shapes, num_anchors_per_level)

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: list[Tensor],
        regression_targets: list[Tensor] | tuple[Tensor, ...],
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy and smooth L1 over sampled anchors, both a mean over all of these.

        Args:
            objectness: Tensor[A], of all anchors of all images.
            pred_bbox_deltas: Tensor[A, 4].
            labels: For each image Tensor[A_i]: 1 positive, 0 negative, -1 neither.
            regression_targets: For each image Tensor[A_i, 4].
        """
        positive, negative = (torch.cat(part) for part in self.fg_bg_sampler(labels))
        positive, negative = positive.nonzero().flatten(), negative.nonzero().flatten()
        sampled = torch.cat([positive, negative])
        wanted, truth = torch.cat(list(regression_targets)), torch.cat(labels)
        loss_boxes = F.smooth_l1_loss(
            pred_bbox_deltas[positive],
            wanted[positive],
            beta=self.smooth_l1_beta,
            reduction="sum",
        ) / max(len(sampled), 1)
        scores = objectness.flatten()[sampled]
        loss = F.binary_cross_entropy_with_logits(scores, truth[sampled], reduction="sum")
        return loss / max(len(sampled), 1), loss_boxes


def _inside(boxes: Tensor, size: tuple[int, int], border: int) -> Tensor:
    """Which boxes reach at most `border` pixels over the edges of an image of (height, width)."""
    lower, upper = boxes[:, :2], boxes[:, 2:]
    far = boxes.new_tensor([size[1] + border, size[0] + border])
    return (lower >= -border).all(1) & (upper < far).all(1)


def image_list(images: Tensor, image_sizes: list[tuple[int, int]] | None) -> ImageList:
    """The batch with the size of each image before padding (by default all of it)."""
    if image_sizes is None:
        image_sizes = [(images.shape[-2], images.shape[-1])] * len(images)
    return ImageList(images, image_sizes)
