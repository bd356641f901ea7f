"""From RoI features to boxes: class logits and deltas, what these mean, and which are kept.

The region proposal network codes and suppresses its boxes in the same way.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, clip_boxes_to_image, nms

from trovid.nn.inference_form import InferenceForm, inference_form
from trovid.nn.low_precision import lower_precision
from trovid.nn.selsa import Linear, SelsaAttention

SupportEmbedding = list[tuple[Tensor, Tensor]]
"""For each FC layer with attention the keys and the values of support proposals, Tensor[P, D]."""

LARGEST_GROWTH = math.log(1000 / 16)
"""Of the logarithm of a side, so that its exponential stays finite."""


class BoxHead(nn.Module):
    """FC layers, after each of them optionally SELSA, then classification and regression.

    With SELSA each layer computes x <- ReLU(FC x + attention(FC x, FC y)), where y <- ReLU(FC y)
    are the proposals of the support frames, which are never aggregated themselves.

    Args:
        in_features: C * h * w of the RoI features.
        hidden: Widths of the FC layers.
        num_classes: Number of classes without background, which is the last logit.
        selsa_heads: Heads of the attention; 0 for none (Faster R-CNN).
        class_agnostic: One box a RoI, or one for each class.
        background_logits: Outputs that together stand for background: their probabilities are
            added. More than one where a detector was trained with classes that do not exist.
        convolutions: What RoI features go through before the FC layers, if anything.
    """

    def __init__(
        self,
        in_features: int,
        *,
        hidden: Sequence[int],
        num_classes: int,
        selsa_heads: int = 0,
        class_agnostic: bool = True,
        background_logits: int = 1,
        convolutions: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.convolutions = convolutions or nn.Identity()
        self.widths = tuple(hidden)
        widths = [in_features, *hidden]
        pairs = itertools.pairwise(widths)
        self.layers = nn.ModuleList(Linear(before, after) for before, after in pairs)
        self.attention = nn.ModuleList(
            SelsaAttention(width, selsa_heads) for width in hidden if selsa_heads
        )
        self.class_logits = Linear(widths[-1], num_classes + background_logits)
        self.box_deltas = Linear(widths[-1], 4 * (1 if class_agnostic else num_classes))
        nn.init.normal_(self.class_logits.weight, std=0.01)
        nn.init.normal_(self.box_deltas.weight, std=0.001)
        for layer in (self.class_logits, self.box_deltas):
            nn.init.zeros_(layer.bias)

    @property
    def uses_support(self) -> bool:
        """Whether the proposals of support frames take part."""
        return len(self.attention) > 0

    def inference_form(self, form: InferenceForm) -> BoxHead:
        """The first layer in low precision; see `trovid.nn.inference_form`."""
        for part in [*self.layers, *self.attention, self.class_logits, self.box_deltas]:
            inference_form(part, form)
        self.layers[0] = lower_precision(self.layers[0], form.dtype)
        return self

    def embed_support(self, roi_features: Tensor) -> SupportEmbedding:
        """Everything of the attention that depends on support proposals alone.

        Args:
            roi_features: Tensor[P, C, h, w] of the support frames' proposals.
        """
        embedding = []
        y = self.convolutions(roi_features)
        for layer, attention in zip(self.layers, self.attention, strict=True):
            assert isinstance(attention, SelsaAttention)
            y = layer(y)
            embedding.append(attention.keys_values(y))
            y = F.relu(y)
        return embedding

    def forward(
        self,
        roi_features: Tensor,
        counts: Sequence[int],
        support: Sequence[SupportEmbedding | None] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the last FC layer makes of every RoI, its class logits and its box deltas.

        Args:
            roi_features: Tensor[R, C, h, w], image after image.
            counts: Number of RoIs of each image; their sum is R.
            support: For each image the embedding of its support proposals, or None.

        Returns:
            Tensor[R, D]; logits Tensor[R, num_classes + 1], background last, and deltas
            Tensor[R, 4] or Tensor[R, 4 * num_classes], both float32.
        """
        x = self.convolutions(roi_features)
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if self.uses_support and support is not None:
                x = x + torch.cat(
                    [
                        rois.new_zeros(rois.shape)
                        if embedding is None
                        else self.attention[index](rois, *embedding[index])
                        for rois, embedding in zip(x.split(list(counts)), support, strict=True)
                    ]
                )
            x = F.relu(x)
        return x, self.logits(x), self.deltas(x)

    def deltas(self, x: Tensor) -> Tensor:
        """Tensor[R, D] of the last layer to deltas Tensor[R, 4] or Tensor[R, 4 * K], float32."""
        return self.box_deltas(x).float()

    def logits(self, x: Tensor) -> Tensor:
        """Tensor[R, D] of the last layer to class logits Tensor[R, num_classes + 1], float32."""
        logits = self.class_logits(x).float()
        if logits.shape[1] == self.num_classes + 1:
            return logits
        classes, background = logits.split(
            [self.num_classes, logits.shape[1] - self.num_classes], 1
        )
        return torch.cat([classes, background.logsumexp(1, keepdim=True)], 1)


@dataclass(frozen=True)
class BoxCoder:
    """Boxes as deltas from other ones (Ren et al., Faster R-CNN, 2015, Eq. 2).

    Attributes:
        weights: Factors of the deltas of centre x, centre y, width and height.
    """

    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)

    def encode(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """The deltas Tensor[R, 4] from each of `anchors` Tensor[R, 4] to its one of `boxes`."""
        x, y, width, height = _centres_and_sides(boxes)
        own_x, own_y, own_width, own_height = _centres_and_sides(anchors)
        wx, wy, ww, wh = self.weights
        return torch.stack(
            [
                wx * (x - own_x) / own_width,
                wy * (y - own_y) / own_height,
                ww * torch.log(width / own_width),
                wh * torch.log(height / own_height),
            ],
            dim=1,
        )

    def decode(self, deltas: Tensor, anchors: Tensor) -> Tensor:
        """The boxes Tensor[R, K, 4] that K deltas each, Tensor[R, 4 * K], make of Tensor[R, 4]."""
        dx, dy, dw, dh = deltas.unflatten(1, (-1, 4)).unbind(2)
        wx, wy, ww, wh = self.weights
        own_x, own_y, own_width, own_height = (
            part[:, None] for part in _centres_and_sides(anchors.to(deltas.dtype))
        )
        x, y = dx / wx * own_width + own_x, dy / wy * own_height + own_y
        half_width = 0.5 * (torch.exp((dw / ww).clamp(max=LARGEST_GROWTH)) * own_width)
        half_height = 0.5 * (torch.exp((dh / wh).clamp(max=LARGEST_GROWTH)) * own_height)
        return torch.stack(
            [x - half_width, y - half_height, x + half_width, y + half_height], dim=2
        )


def _centres_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(1)
    width, height = x2 - x1, y2 - y1
    return x1 + 0.5 * width, y1 + 0.5 * height, width, height


def suppress(
    boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, image_size: tuple[int, int]
) -> Tensor:
    """Which boxes are left where the best one of a group suppresses those that it overlaps.

    Args:
        boxes: Tensor[N, 4] within the image.
        scores: Tensor[N].
        groups: Tensor[N]; boxes of different ones leave each other alone.
        iou: IoU above which the lower of two boxes goes.
        image_size: Height and width.

    Returns:
        Their rows Tensor[M], best first.
    """
    if not torch.compiler.is_compiling():
        return batched_nms(boxes, scores, groups, iou)
    # torch.export takes for granted that nms keeps two boxes: two empty ones see to it
    apart = F.pad(boxes + groups.unsqueeze(1) * (max(image_size) + 1.0), (0, 0, 0, 2))
    kept = nms(apart, F.pad(scores, (0, 2), value=-1.0), iou)
    return kept[kept < scores.shape[0]]


class Selection(Protocol):
    """What is asked of detections, such as `trovid.structures.DetectOptions`."""

    @property
    def score(self) -> float | None:
        """Lowest score that is kept (exclusive)."""

    @property
    def nms(self) -> float | None:
        """IoU above which the lower of two boxes of a class goes; 1 keeps all."""

    @property
    def class_agnostic_nms(self) -> bool:
        """Whether boxes of different classes suppress each other too."""

    @property
    def max_detections(self) -> int | None:
        """Detections at most; None for any number."""


def select_boxes(
    boxes: Tensor, class_scores: Tensor, image_size: tuple[int, int], selection: Selection
) -> tuple[Tensor, Tensor, Tensor]:
    """The detections of a frame among its candidates.

    Args:
        boxes: Tensor[R, 1, 4] or Tensor[R, num_classes, 4].
        class_scores: Tensor[R, num_classes].
        image_size: Height and width that boxes are clipped to.
        selection: What is asked for; `score` and `nms` are not None.

    Returns:
        Boxes Tensor[N, 4], scores Tensor[N] and labels Tensor[N], best first.
    """
    _, *chosen = select_rois(boxes, class_scores, image_size, selection)
    return chosen[0], chosen[1], chosen[2]


def select_rois(
    boxes: Tensor, class_scores: Tensor, image_size: tuple[int, int], selection: Selection
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As `select_boxes`, behind the RoI of each detection, Tensor[N]."""
    assert selection.score is not None
    assert selection.nms is not None
    roi, label = (class_scores > selection.score).nonzero(as_tuple=True)
    scores = class_scores[roi, label]
    column = label if boxes.shape[1] > 1 else torch.zeros_like(label)
    chosen = clip_boxes_to_image(boxes[roi, column], image_size)
    finite = chosen.isfinite().all(1)  # with weights of huge values a box may be none
    roi, chosen, scores, label = roi[finite], chosen[finite], scores[finite], label[finite]
    group = torch.zeros_like(label) if selection.class_agnostic_nms else label
    keep = suppress(chosen, scores, group, selection.nms, image_size)[: selection.max_detections]
    return roi[keep], chosen[keep], scores[keep], label[keep]


def without_small_boxes(
    boxes: Tensor, class_scores: Tensor, image_size: tuple[int, int], smallest: float
) -> Tensor:
    """The class scores, 0 where a side of the box within the frame is shorter than `smallest`."""
    clipped = clip_boxes_to_image(boxes, image_size)
    large = (clipped[..., 2:] - clipped[..., :2] >= smallest).all(-1)
    return class_scores * large
