"""RoIAlign, then Non-Local: every RoI position looks at all positions of all support maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trovid.nn.extractors.contract import Extractor, Sight
from trovid.ops import PackedSupport, non_local
from trovid.ops.checks import check_size

SHOWN = 4
"""Places of each support map that an explanation shows where all are kept."""


class NonLocalRoIAlign(Extractor):
    """RoIAlign followed by Non-Local over the support maps (Table 2 of the paper).

    Embedded Gaussian (Wang et al., 2018): x + W_z softmax(theta(x) phi(y)^T / sqrt(C/2)) g(y), with
    theta, phi and g of C/2 channels with bias; they start normally distributed with a deviation of
    0.01 and W_z at zero, as in mmcv, so that it starts as RoIAlign. There is no pooling and no
    BatchNorm. Computed in float32 under autocast too.

    Args:
        output_size: (h, w) of the RoI grid, or one number for both.
        spatial_scale: Unused here; a LevelPooler gives its own.
        sampling_ratio: RoIAlign's samples per bin and axis; <= 0: adaptive.
        aligned: RoIAlign's shift by half a pixel.
        channels: C of the maps.
        top_k: K, how many weights of a position are kept, over all support maps; the softmax goes
            over these. None for all.

    Example:
        >>> from trovid.ops import pack_support
        >>> pool = NonLocalRoIAlign(7, channels=8, top_k=4)
        >>> boxes, maps = [torch.tensor([[16.0, 16.0, 160.0, 120.0]])], torch.rand(3, 8, 20, 30)
        >>> pool.extract(torch.rand(1, 8, 20, 30), boxes, 1 / 16, pack_support(maps)).shape
        torch.Size([1, 8, 7, 7])
    """

    searches_support = True
    residual = True

    def __init__(
        self,
        output_size: int | Sequence[int] = 7,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 2,
        aligned: bool = False,
        *,
        channels: int,
        top_k: int | None = None,
    ) -> None:
        super().__init__()
        if channels < 2:
            raise ValueError(f"`channels` must be at least 2, but is {channels}")
        if top_k is not None and top_k < 1:
            raise ValueError(f"`top_k` must be at least 1, or None for all, but is {top_k}")
        self.output_size = check_size(output_size)
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.top_k = top_k
        self.query, self.key, self.value = (nn.Linear(channels, channels // 2) for _ in range(3))
        self.output = nn.Linear(channels // 2, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the initial values."""
        for layer in (self.query, self.key, self.value):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def aggregate(self, roi_features: Tensor, support: PackedSupport) -> Tensor:
        """See `Extractor.aggregate`."""
        with torch.autocast(roi_features.device.type, enabled=False):
            positions = _positions(roi_features)
            cells = support.rows.flatten(0, 1).to(positions.dtype)
            queries, keys, values = self.query(positions), self.key(cells), self.value(cells)
            found = self.output(non_local(queries, keys, values, top_k=self.top_k))
            found = found.unflatten(0, (-1, roi_features.shape[2] * roi_features.shape[3]))
        return roi_features + found.transpose(1, 2).unflatten(2, roi_features.shape[2:])

    def sight(
        self,
        features: Tensor,
        boxes: Sequence[Tensor],
        spatial_scale: float,
        support: PackedSupport,
    ) -> Sight:
        """See `Extractor.sight`: a frame's weight is the sum of its positions' weights.

        The similarity is the cosine of the embeddings. The target's own features are the residual
        and have no weight: 0.
        """
        roi_features = self.align(features, boxes, spatial_scale)
        frames, cells = support.rows.shape[:2]
        queries = self.query(_positions(roi_features))
        keys = self.key(support.rows.flatten(0, 1))
        logits = queries @ keys.t() * queries.shape[1] ** -0.5
        if self.top_k is not None:
            lowest = logits.topk(self.top_k, dim=1).values[:, -1:]
            logits = logits.masked_fill(logits < lowest, -torch.inf)
        weights = logits.softmax(1).unflatten(1, (frames, cells)).sum(2)
        shown = min(self.top_k or SHOWN, cells)
        best = (queries @ keys.t()).unflatten(1, (frames, cells)).topk(shown, dim=2).indices
        places = best + torch.arange(frames, device=best.device).view(-1, 1) * cells
        cosines = torch.cosine_similarity(queries[:, None, None], keys[places], dim=3)
        target_weights = torch.zeros_like(weights[:, :1])
        rois, _, *grid = roi_features.shape
        return Sight(
            *(
                part.view(rois, *grid, frames, shown).permute(3, 0, 4, 1, 2)
                for part in (best, cosines)
            ),
            torch.cat([target_weights, weights], 1).t().view(-1, rois, 1, *grid),
        )

    def operations(self, rois: int, map_shape: tuple[int, int, int], support_frames: int) -> int:
        """See `Extractor.operations`: embeddings, logits and sums over all positions."""
        channels, height, width = map_shape
        positions = rois * self.output_size[0] * self.output_size[1]
        cells, wide = support_frames * height * width, channels // 2
        embeddings = 2 * channels * wide * (2 * positions + 2 * cells)
        kept = cells if self.top_k is None else self.top_k
        return embeddings + 2 * positions * wide * (cells + kept)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"output_size={self.output_size}, aligned={self.aligned}, top_k={self.top_k}"


def _positions(roi_features: Tensor) -> Tensor:
    """Tensor[R, C, h, w] to Tensor[R * h * w, C], in float32 or float64."""
    rows = roi_features.flatten(2).transpose(1, 2).flatten(0, 1)
    return rows if rows.dtype == torch.float64 else rows.float()
