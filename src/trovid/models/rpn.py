"""The region proposal network: torchvision's, callable with and without losses."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import (
    RegionProposalNetwork,
    RPNHead,
    concat_box_prediction_layers,
)


class FullPrecisionRPNHead(RPNHead):
    """torchvision's RPN head whose outputs are float32 under autocast too."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """List of Tensor[B, C, H, W] to objectness and deltas of each level."""
        objectness, deltas = super().forward(x)
        return [o.float() for o in objectness], [d.float() for d in deltas]


class ProposalNetwork(RegionProposalNetwork):
    """Anchors, objectness and box deltas on every level, then the best proposals of an image.

    Args:
        in_channels: Channels of every level.
        anchor_sizes: For each level the anchors' side lengths in pixels.
        aspect_ratios: Height over width of the anchors, for all levels.
        pre_nms: Proposals an image before suppression, in training and at test.
        post_nms: Proposals an image after it, in training and at test.
        nms: IoU above which the lower of two proposals goes.
        samples: Anchors an image in the loss, half of them positive at most.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        anchor_sizes: Sequence[Sequence[int]],
        aspect_ratios: Sequence[float],
        pre_nms: tuple[int, int],
        post_nms: tuple[int, int],
        nms: float = 0.7,
        samples: int = 256,
    ) -> None:
        anchors = AnchorGenerator(
            tuple(tuple(level) for level in anchor_sizes),
            tuple(tuple(aspect_ratios) for _ in anchor_sizes),
        )
        super().__init__(
            anchors,
            FullPrecisionRPNHead(in_channels, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=samples,
            positive_fraction=0.5,
            pre_nms_top_n={"training": pre_nms[0], "testing": pre_nms[1]},
            post_nms_top_n={"training": post_nms[0], "testing": post_nms[1]},
            nms_thresh=nms,
        )

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
        levels = list(features.values())
        objectness, deltas = self.head(levels)
        anchors = self.anchor_generator(images, levels)
        per_level = [o[0].numel() for o in objectness]
        scores, flat_deltas = concat_box_prediction_layers(objectness, deltas)
        boxes = self.box_coder.decode(flat_deltas.detach(), anchors)
        boxes = boxes.view(len(anchors), -1, 4)
        proposals, _ = self.filter_proposals(boxes, scores, images.image_sizes, per_level)
        if targets is None:
            return proposals, {}
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        wanted = self.box_coder.encode(matched, anchors)
        loss_objectness, loss_boxes = self.compute_loss(scores, flat_deltas, labels, wanted)
        return proposals, {"rpn_objectness": loss_objectness, "rpn_boxes": loss_boxes}


def image_list(images: Tensor, image_sizes: list[tuple[int, int]] | None) -> ImageList:
    """The batch with the size of each image before padding (by default all of it)."""
    if image_sizes is None:
        image_sizes = [(images.shape[-2], images.shape[-1])] * len(images)
    return ImageList(images, image_sizes)
