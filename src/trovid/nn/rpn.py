"""The region proposal network (Ren et al., Faster R-CNN, 2015): from feature maps to proposals."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import Conv2dNormActivation, clip_boxes_to_image

from trovid.nn.anchor_loss import AnchorLoss
from trovid.nn.box_head import BoxCoder, suppress

FIRST_LOOK = 4
"""How many boxes, as a multiple of those wanted, the suppression looks at first."""
SMALLEST = 1e-3
"""Sides in pixels that a proposal must reach within the image."""


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


class Anchors:
    """Boxes of some sizes and shapes at every place of the maps.

    Args:
        sizes: For each level the anchors' side lengths in pixels.
        aspect_ratios: Height over width of the anchors, for all levels, or for each level a list.
        rounded: Whether half the sides are rounded to whole pixels, as in torchvision.
        strides: For each level the pixels from place to place; None for the image's sides over the
            map's, rounded down, as in torchvision.
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[int]],
        aspect_ratios: Sequence[float] | Sequence[Sequence[float]],
        *,
        rounded: bool = True,
        strides: Sequence[int] | None = None,
    ) -> None:
        self.rounded = rounded
        self.strides = strides or [None] * len(sizes)
        ratios = [ratio for ratio in aspect_ratios if isinstance(ratio, int | float)]
        each = [
            level_ratios
            for level_ratios in aspect_ratios
            if not isinstance(level_ratios, int | float)
        ]
        self.shapes = list(zip(sizes, each or [ratios] * len(sizes), strict=True))
        (self.per_place,) = {len(sides) * len(level_ratios) for sides, level_ratios in self.shapes}

    def __call__(self, levels: Sequence[Tensor], image_size: tuple[int, int]) -> Tensor:
        """The anchors Tensor[A, 4] of all levels, place after place.

        Args:
            levels: Tensor[B, C, H_l, W_l] for each level.
            image_size: Height and width of the images, padding included.
        """
        return torch.cat(
            [
                self._of_level(level, image_size, stride, *shapes)
                for level, stride, shapes in zip(levels, self.strides, self.shapes, strict=True)
            ]
        )

    def _of_level(
        self,
        level: Tensor,
        image_size: tuple[int, int],
        stride: int | None,
        sizes: Sequence[int],
        aspect_ratios: Sequence[float],
    ) -> Tensor:
        (height, width), device = level.shape[-2:], level.device
        down, right = stride or image_size[0] // height, stride or image_size[1] // width
        y, x = torch.meshgrid(
            torch.arange(height, dtype=torch.int32, device=device) * down,
            torch.arange(width, dtype=torch.int32, device=device) * right,
            indexing="ij",
        )
        places = torch.stack([x, y, x, y], 2).view(-1, 1, 4)
        sides = torch.as_tensor(sizes, dtype=level.dtype, device=device)
        heights = torch.as_tensor(aspect_ratios, dtype=level.dtype, device=device).sqrt()[:, None]
        if self.rounded:
            half_w = ((1 / heights) * sides).flatten() / 2
            half_h = (heights * sides).flatten() / 2
            around = torch.stack([-half_w, -half_h, half_w, half_h], 1).round()
        else:
            half_w, half_h = (sides / heights).flatten() / 2, (heights * sides).flatten() / 2
            around = torch.stack([-half_w, -half_h, half_w, half_h], 1)
        return (places + around).view(-1, 4)


class ProposalNetwork(nn.Module):
    """Anchors, objectness and box deltas on every level, then the best proposals of an image.

    Args:
        in_channels: Channels of every level.
        levels: Names of the levels used, finest first.
        channels: Channels of the head's 3x3 convolution; None for `in_channels`.
        anchor_sizes: For each level the anchors' side lengths in pixels.
        aspect_ratios: Height over width of the anchors, for all levels, or for each level a list.
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
        lowest_score: Objectness in 0..1 that a proposal must reach at test.
        strides: See Anchors.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        levels: Sequence[str] = ("0",),
        channels: int | None = None,
        anchor_sizes: Sequence[Sequence[int]],
        aspect_ratios: Sequence[float] | Sequence[Sequence[float]],
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
        lowest_score: float = 0.0,
        strides: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if len(levels) != len(anchor_sizes):
            raise ValueError(
                f"`anchor_sizes` must have a list for each of the levels {list(levels)}, "
                f"but has {len(anchor_sizes)}"
            )
        self.anchors = Anchors(
            anchor_sizes, aspect_ratios, rounded=rounded_anchors, strides=strides
        )
        self.head = FullPrecisionRPNHead(in_channels, self.anchors.per_place, channels)
        self.box_coder = BoxCoder()
        self.loss = AnchorLoss(
            box_coder=self.box_coder,
            samples=samples,
            positive_fraction=positive_fraction,
            foreground_iou=foreground_iou,
            background_iou=background_iou,
            lowest_iou=lowest_iou,
            allowed_border=allowed_border,
            smooth_l1_beta=smooth_l1_beta,
        )
        self.levels = tuple(levels)
        self.pre_nms, self.post_nms, self.nms = pre_nms, post_nms, nms
        self.lowest_score = lowest_score

    def forward(
        self,
        images: Tensor,
        features: dict[str, Tensor],
        image_sizes: Sequence[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The proposals of each image, and with targets the two losses.

        Args:
            images: Tensor[B, 3, H, W]; their shape alone is looked at.
            features: Levels of Tensor[B, C, H_l, W_l].
            image_sizes: Height and width of each image before padding, which bound the proposals.
            targets: For each image `boxes` Tensor[N, 4]; None where no loss is wanted.

        Returns:
            A list of Tensor[R_i, 4], best first, without gradient; the losses by name.
        """
        levels = [features[name] for name in self.levels]
        objectness, deltas = self.head(levels)
        anchors = self.anchors(levels, (images.shape[-2], images.shape[-1]))
        places = [logits[0].numel() for logits in objectness]
        scores = torch.cat([_by_anchor(logits, 1) for logits in objectness], 1).squeeze(2)
        flat = torch.cat([_by_anchor(level_deltas, 4) for level_deltas in deltas], 1)
        boxes = self.box_coder.decode(flat.detach().flatten(0, 1), anchors.repeat(len(images), 1))
        proposals = self.filter_proposals(
            boxes.view(len(images), -1, 4), scores.detach(), image_sizes, places
        )
        if targets is None:
            return proposals, {}
        return proposals, self.loss(scores, flat, anchors, image_sizes, targets)

    def filter_proposals(
        self,
        boxes: Tensor,
        scores: Tensor,
        image_sizes: Sequence[tuple[int, int]],
        per_level: Sequence[int],
        *,
        first_look: int = FIRST_LOOK,
    ) -> list[Tensor]:
        """The best boxes of each image after suppression, as torchvision chooses them.

        On a single level it looks at the highest scores first: whether a box is suppressed depends
        on higher ones alone, so where enough of these stay, the others need no look.

        Args:
            boxes: Tensor[B, A, 4].
            scores: Tensor[B, A], logits.
            image_sizes: Height and width that boxes are clipped to.
            per_level: Boxes of each level; they sum to A.
            first_look: How many times the wanted number of boxes is looked at first.

        Returns:
            For each image Tensor[R_i, 4], best first.
        """
        mode = 0 if self.training else 1
        looked_at, wanted = self.pre_nms[mode], self.post_nms[mode]
        few = first_look * wanted
        if (
            len(per_level) == 1
            and few < min(looked_at, per_level[0])
            and not torch.compiler.is_compiling()
        ):
            found = self._best(boxes, scores, image_sizes, per_level, few, wanted)
            if all(len(kept) == wanted for kept in found):
                return found
        return self._best(boxes, scores, image_sizes, per_level, looked_at, wanted)

    def _best(
        self,
        boxes: Tensor,
        scores: Tensor,
        image_sizes: Sequence[tuple[int, int]],
        per_level: Sequence[int],
        looked_at: int,
        wanted: int,
    ) -> list[Tensor]:
        rows, groups, start = [], [], 0
        for level, level_scores in enumerate(scores.split(list(per_level), 1)):
            count = min(looked_at, level_scores.shape[1])
            rows.append(level_scores.topk(count, dim=1).indices + start)
            groups.append(torch.full((count,), level, device=scores.device))
            start += level_scores.shape[1]
        row, group = torch.cat(rows, 1), torch.cat(groups)
        scores = scores.gather(1, row).sigmoid()
        boxes = boxes.gather(1, row.unsqueeze(2).expand(-1, -1, 4))
        lowest = 0.0 if self.training else self.lowest_score
        found = []
        for image_boxes, score, size in zip(boxes, scores, image_sizes, strict=True):
            image_boxes = clip_boxes_to_image(image_boxes, size)
            large = (image_boxes[:, 2:] - image_boxes[:, :2] >= SMALLEST).all(1) & (score >= lowest)
            image_boxes = image_boxes[large]
            keep = suppress(image_boxes, score[large], group[large], self.nms, size)
            found.append(image_boxes[keep[:wanted]])
        return found


def _by_anchor(maps: Tensor, values: int) -> Tensor:
    """Tensor[B, anchors * values, H, W] as Tensor[B, H * W * anchors, values]."""
    return maps.unflatten(1, (-1, values)).permute(0, 3, 4, 1, 2).flatten(1, 3)
