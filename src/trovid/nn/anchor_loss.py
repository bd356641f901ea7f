"""The two losses of the region proposal network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from trovid.nn.box_head import BoxCoder
from trovid.nn.box_sampling import BELOW, in_ignored, match_boxes, own_chance, sample_boxes
from trovid.nn.shared_count import shared_count


@dataclass(frozen=True, kw_only=True)
class AnchorLoss:
    """Objectness and box loss over some anchors of each image (Faster R-CNN, Section 3.1.2).

    Attributes:
        box_coder: Turns boxes into deltas.
        samples: Anchors an image.
        positive_fraction: Share of positive ones at most.
        foreground_iou: IoU from which an anchor is positive.
        background_iou: IoU below which it is negative.
        lowest_iou: IoU from which the best anchor of an object is positive even so.
        allowed_border: Pixels by which an anchor may lie outside the image; None for any anchor.
        smooth_l1_beta: Where the box loss goes from square to linear.
    """

    box_coder: BoxCoder
    samples: int
    positive_fraction: float
    foreground_iou: float
    background_iou: float
    lowest_iou: float
    allowed_border: int | None
    smooth_l1_beta: float

    def __call__(
        self,
        objectness: Tensor,
        deltas: Tensor,
        anchors: Tensor,
        image_sizes: Sequence[tuple[int, int]],
        targets: Sequence[dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        """Cross-entropy and smooth L1 over sampled anchors, both a mean over all of these.

        Args:
            objectness: Tensor[B, A], logits.
            deltas: Tensor[B, A, 4].
            anchors: Tensor[A, 4].
            image_sizes: Height and width of each image.
            targets: For each image `boxes` Tensor[N, 4], and maybe `ignored` Tensor[M, 4]: anchors
                in these regions are no background.
        """
        labels, wanted, positive, negative = [], [], [], []
        for image, (size, target) in enumerate(zip(image_sizes, targets, strict=True)):
            label, delta = self.wanted(anchors, size, target["boxes"])
            ignored = in_ignored(anchors, target)
            if ignored is not None:
                label[ignored & (label == 0)] = -1.0
            chance = own_chance(target, 0)
            chosen = sample_boxes(label, self.samples, self.positive_fraction, generator=chance)
            positive.append(chosen[0] + image * len(anchors))
            negative.append(chosen[1] + image * len(anchors))
            labels.append(label)
            wanted.append(delta)
        foreground, sampled = torch.cat(positive), torch.cat([*positive, *negative])
        loss_boxes = F.smooth_l1_loss(
            deltas.flatten(0, 1)[foreground],
            torch.cat(wanted)[foreground],
            beta=self.smooth_l1_beta,
            reduction="sum",
        )
        loss = F.binary_cross_entropy_with_logits(
            objectness.flatten()[sampled], torch.cat(labels)[sampled], reduction="sum"
        )
        count = shared_count(len(sampled), objectness)
        return {"rpn_objectness": loss / count, "rpn_boxes": loss_boxes / count}

    def wanted(
        self, anchors: Tensor, image_size: tuple[int, int], boxes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the loss asks of the anchors of an image.

        Args:
            anchors: Tensor[A, 4].
            image_size: Height and width of the image.
            boxes: Tensor[N, 4], the objects.

        Returns:
            Tensor[A]: 1 positive, 0 negative, -1 neither; the deltas Tensor[A, 4] to the objects.
        """
        inside = slice(None) if self.allowed_border is None else self._inside(anchors, image_size)
        labels, deltas = anchors.new_full((len(anchors),), -1.0), torch.zeros_like(anchors)
        candidates = anchors[inside]
        if not len(boxes) or not len(candidates):
            labels[inside] = 0.0
            return labels, deltas
        matches = match_boxes(
            box_iou(boxes, candidates),
            foreground=self.foreground_iou,
            background=self.background_iou,
            lowest=self.lowest_iou,
        )
        labels[inside] = (matches >= 0).to(labels.dtype) - (matches < BELOW).to(labels.dtype)
        deltas[inside] = self.box_coder.encode(boxes[matches.clamp(min=0)], candidates)
        return labels, deltas

    def _inside(self, anchors: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Which anchors reach at most `allowed_border` pixels over the edges of an image."""
        border = self.allowed_border or 0
        far = anchors.new_tensor([image_size[1] + border, image_size[0] + border])
        return (anchors[:, :2] >= -border).all(1) & (anchors[:, 2:] < far).all(1)
