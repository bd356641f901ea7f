"""Fully connected layers from RoI features to class logits and box deltas."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trovid.nn.inference_form import InferenceForm, inference_form
from trovid.nn.low_precision import lower_precision
from trovid.nn.selsa import Linear, SelsaAttention

SupportEmbedding = list[tuple[Tensor, Tensor]]
"""For each FC layer with attention the keys and the values of support proposals, Tensor[P, D]."""


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
    ) -> tuple[Tensor, Tensor]:
        """Class logits and box deltas of every RoI.

        Args:
            roi_features: Tensor[R, C, h, w], image after image.
            counts: Number of RoIs of each image; their sum is R.
            support: For each image the embedding of its support proposals, or None.

        Returns:
            Logits Tensor[R, num_classes + 1], background last, and deltas Tensor[R, 4] or
            Tensor[R, 4 * num_classes], both float32.
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
        return self.logits(x), self.box_deltas(x).float()

    def logits(self, x: Tensor) -> Tensor:
        """Tensor[R, D] of the last layer to class logits Tensor[R, num_classes + 1], float32."""
        logits = self.class_logits(x).float()
        if logits.shape[1] == self.num_classes + 1:
            return logits
        classes, background = logits.split(
            [self.num_classes, logits.shape[1] - self.num_classes], 1
        )
        return torch.cat([classes, background.logsumexp(1, keepdim=True)], 1)
