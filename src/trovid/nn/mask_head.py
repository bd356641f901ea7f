"""From RoI features to masks (He et al., Mask R-CNN, ICCV 2017), and the loss of masks."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

from trovid.nn.shared_count import shared_count


class MaskHead(nn.Module):
    """3x3 convolutions, one enlargement to twice the size, and a map for each class.

    Args:
        in_channels: C of the RoI features.
        channels: Width of the convolutions.
        convolutions: How many there are.
        num_classes: Number of classes; 1 for one map whatever the class.

    Example:
        >>> MaskHead(8, channels=8, convolutions=2, num_classes=3)(torch.rand(5, 8, 14, 14)).shape
        torch.Size([5, 3, 28, 28])
    """

    def __init__(
        self, in_channels: int, *, channels: int = 256, convolutions: int = 4, num_classes: int
    ) -> None:
        super().__init__()
        widths = [in_channels, *[channels] * convolutions]
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in itertools.pairwise(widths)
        )
        self.upsample = nn.ConvTranspose2d(widths[-1], channels, 2, stride=2)
        self.mask_logits = nn.Conv2d(channels, num_classes, 1)
        for layer in (*self.layers, self.upsample, self.mask_logits):
            assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.mask_logits.weight, std=0.01)

    def forward(self, roi_features: Tensor) -> Tensor:
        """Tensor[R, C, h, w] to logits Tensor[R, num_classes, 2 h, 2 w], float32."""
        x = roi_features
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.mask_logits(F.relu(self.upsample(x))).float()


def maps_of(logits: Tensor, labels: Tensor) -> Tensor:
    """For each RoI the map of its class: Tensor[R, K, m, m] (or K = 1) to Tensor[R, m, m]."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    columns = labels.view(-1, 1, 1, 1).expand(-1, 1, *logits.shape[2:])
    return logits.gather(1, columns)[:, 0]


def mask_loss(logits: Tensor, labels: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross-entropy, a mean over all pixels of the maps of the RoIs' own classes.

    It is a mean over the RoIs of all processes of a training (`shared_count`).

    Args:
        logits: Tensor[R, K, m, m] of foreground RoIs.
        labels: Tensor[R], the class of each.
        wanted: Tensor[R, m, m] of 0 and 1 (`mask_targets`).
    """
    count = shared_count(len(logits), logits)
    if not len(logits):
        return logits.sum() * 0
    maps = maps_of(logits, labels)
    if count == len(logits):
        return F.binary_cross_entropy_with_logits(maps, wanted)
    loss = F.binary_cross_entropy_with_logits(maps, wanted, reduction="sum")
    return loss / (count * wanted[0].numel())


def mask_targets(masks: Tensor, objects: Tensor, boxes: Tensor, size: int) -> Tensor:
    """The part of each object's mask that lies within a box, as the mask head is to draw it.

    Args:
        masks: Tensor[N, H, W] of bool, the objects of one image.
        objects: Tensor[R], the row of each RoI's object.
        boxes: Tensor[R, 4] in pixels of the image.
        size: m, the side of the maps.

    Returns:
        Tensor[R, m, m] of 0 and 1.
    """
    rois = torch.cat([objects[:, None].to(boxes.dtype), boxes], 1)
    crops = roi_align(masks[:, None].to(boxes.dtype), rois, size, 1.0, -1, True)
    return (crops[:, 0] >= 0.5).to(boxes.dtype)
