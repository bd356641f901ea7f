"""Which proposals the box head is trained on, and its two losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from trovid.nn.box_head import BoxCoder
from trovid.nn.box_sampling import in_ignored, match_boxes, own_chance, sample_boxes
from trovid.nn.shared_count import shared_count


@dataclass(frozen=True, eq=False)
class SampledRoIs:
    """The proposals of a batch that a training step uses.

    Attributes:
        proposals: For each image Tensor[R_i, 4].
        labels: Tensor[R], class of each RoI; `num_classes` for background.
        box_targets: Tensor[R, 4], the deltas that lead to the matched box.
        objects: For each image Tensor[R_i], the row of the matched object; -1 for background.
    """

    proposals: list[Tensor]
    labels: Tensor
    box_targets: Tensor
    objects: list[Tensor]


class RoISampler:
    """Samples foreground and background proposals (Fast R-CNN, Girshick, ICCV 2015).

    Args:
        num_classes: Number of classes, which is also the label of background.
        box_coder: Turns boxes into deltas.
        samples: RoIs an image.
        positive_fraction: Share of foreground at most.
        iou: IoU from which a proposal is foreground.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        box_coder: BoxCoder,
        samples: int,
        positive_fraction: float = 0.25,
        iou: float = 0.5,
    ) -> None:
        self.num_classes = num_classes
        self.box_coder = box_coder
        self.samples = samples
        self.positive_fraction = positive_fraction
        self.iou = iou

    def __call__(self, proposals: list[Tensor], targets: list[dict[str, Tensor]]) -> SampledRoIs:
        """Adds the ground truth to the proposals, matches and samples.

        Args:
            proposals: For each image Tensor[R_i, 4].
            targets: For each image `boxes` Tensor[N, 4] and `labels` Tensor[N], and maybe
                `ignored` Tensor[M, 4]: proposals in these regions are no background.
        """
        chosen, labels, box_targets, objects = [], [], [], []
        for boxes, target in zip(proposals, targets, strict=True):
            truth = target["boxes"].to(boxes.dtype)
            candidates = torch.cat([boxes, truth])
            if len(truth):
                overlaps = box_iou(truth, candidates)
                match = match_boxes(overlaps, foreground=self.iou, background=self.iou)
                label = torch.where(match >= 0, target["labels"][match.clamp(min=0)], -1)
                wanted = truth[match.clamp(min=0)]
            else:
                label = candidates.new_full((len(candidates),), -1, dtype=torch.long)
                match, wanted = label, candidates
            kinds = (label >= 0).long()
            ignored = in_ignored(candidates, target)
            if ignored is not None:
                kinds[ignored & (label < 0)] = -1
            chance = own_chance(target, 1)
            keep = torch.cat(
                sample_boxes(kinds, self.samples, self.positive_fraction, generator=chance)
            )
            chosen.append(candidates[keep])
            labels.append(torch.where(label[keep] < 0, self.num_classes, label[keep]))
            box_targets.append(self.box_coder.encode(wanted[keep], candidates[keep]))
            objects.append(match[keep].clamp(min=-1))
        return SampledRoIs(chosen, torch.cat(labels), torch.cat(box_targets), objects)


def box_head_losses(
    logits: Tensor, deltas: Tensor, rois: SampledRoIs, *, smooth_l1_beta: float = 1.0
) -> dict[str, Tensor]:
    """Cross-entropy over all RoIs, smooth L1 over the foreground's own deltas.

    Args:
        logits: Tensor[R, num_classes + 1], background last.
        deltas: Tensor[R, 4] or Tensor[R, 4 * num_classes].
        rois: The sampled RoIs.
        smooth_l1_beta: Where the box loss goes from square to linear.
    """
    positive = (rois.labels < logits.shape[1] - 1).nonzero().flatten()
    per_class = deltas.unflatten(1, (-1, 4))
    column = rois.labels[positive] if per_class.shape[1] > 1 else torch.zeros_like(positive)
    box_loss = F.smooth_l1_loss(
        per_class[positive, column],
        rois.box_targets[positive],
        reduction="sum",
        beta=smooth_l1_beta,
    )
    count = shared_count(len(rois.labels), logits)
    if count == len(rois.labels):
        loss = F.cross_entropy(logits, rois.labels)
    else:
        loss = F.cross_entropy(logits, rois.labels, reduction="sum") / count
    return {"class": loss, "boxes": box_loss / count}
