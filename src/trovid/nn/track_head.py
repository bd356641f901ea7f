"""From RoI features to what tells objects apart (Yang, Fan, Xu: Video Instance Segmentation)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trovid.nn.inference_form import InferenceForm, inference_form
from trovid.nn.selsa import Linear
from trovid.nn.shared_count import shared_count


class TrackHead(nn.Module):
    """FC layers with ReLU, the last one included.

    Args:
        in_features: C * h * w of the RoI features.
        hidden: Widths of the FC layers.

    Example:
        >>> TrackHead(8 * 49, hidden=(16, 16))(torch.rand(5, 8, 7, 7)).shape
        torch.Size([5, 16])
    """

    def __init__(self, in_features: int, *, hidden: Sequence[int]) -> None:
        super().__init__()
        pairs = itertools.pairwise([in_features, *hidden])
        self.layers = nn.ModuleList(Linear(before, after) for before, after in pairs)

    def inference_form(self, form: InferenceForm) -> TrackHead:
        """See `trovid.nn.inference_form`; all in float32."""
        for layer in self.layers:
            inference_form(layer, form)
        return self

    def forward(self, roi_features: Tensor) -> Tensor:
        """Tensor[R, C, h, w] to embeddings Tensor[R, D], float32."""
        x = roi_features
        for layer in self.layers:
            x = F.relu(layer(x))
        return x.float()


def match_logits(embeddings: Tensor, memory: Tensor) -> Tensor:
    """Inner products of detections with known objects, behind a column of zeros for "new".

    Args:
        embeddings: Tensor[R, D].
        memory: Tensor[M, D].

    Returns:
        Tensor[R, 1 + M].
    """
    products = embeddings @ memory.t()
    return torch.cat([products.new_zeros(len(products), 1), products], 1)


def track_loss(logits: Sequence[Tensor], matches: Sequence[Tensor]) -> Tensor:
    """Cross-entropy over "new" and the objects of the reference frame.

    Args:
        logits: For each target frame Tensor[R, 1 + M] (`match_logits`) of its foreground RoIs.
        matches: For each Tensor[R]: 0 for an object that the reference frame does not hold, else
            its row there + 1.

    Returns:
        The sum over all RoIs, divided by the number of those with a match (at least by 1), which
        the processes of a training share (`shared_count`).
    """
    losses = [
        F.cross_entropy(frame_logits, match, reduction="sum")
        for frame_logits, match in zip(logits, matches, strict=True)
    ]
    matched = sum(int((match > 0).sum()) for match in matches)
    total = torch.stack(losses).sum()
    return total / shared_count(matched, total)
