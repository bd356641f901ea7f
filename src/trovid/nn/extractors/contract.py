"""What LevelPooler, cost, export and explanation ask of an extractor of RoI features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trovid.ops import PackedSupport, roi_align
from trovid.ops.checks import boxes_to_rois, is_exporting


@dataclass(frozen=True, eq=False)
class Sight:
    """What each position of some RoIs of one video found in its support frames.

    Attributes:
        cells: Tensor[T, R, K, h, w], the K places of each support map, best first, as y * W + x.
        similarities: Tensor[T, R, K, h, w], their cosines.
        weights: Tensor[T + 1, R, N, h, w], how much each frame counts in each group of channels,
            the target's own first.
    """

    cells: Tensor
    similarities: Tensor
    weights: Tensor


class Extractor(nn.Module):
    """RoI features from one map; another one is another file beside this.

    It says how RoI features are read from a map (`align`) and, where it searches support frames,
    what these add (`aggregate`). `forward` is free: it takes what the module's equal elsewhere
    takes.

    Attributes:
        output_size: (h, w) of the RoI grid.
        sampling_ratio: Samples per bin and axis; <= 0: adaptive.
        aligned: Whether boxes are shifted by half a pixel.
        searches_support: Whether it looks at the maps of support frames.
        uses_prefixes: Whether the search is faster for what `PackedSupport.with_prefixes` adds.
        exportable: Whether `aggregate` is all that it does with them, so that export can trace it.
        residual: Whether the target's own features are added whole, outside of the weights that
            `sight` tells.
    """

    output_size: tuple[int, int]
    sampling_ratio: int
    aligned: bool
    searches_support: bool = False
    uses_prefixes: bool = False
    exportable: bool = True
    residual: bool = False

    def align(self, features: Tensor, boxes: Sequence[Tensor], spatial_scale: float) -> Tensor:
        """RoI features Tensor[R, C, h, w] of the target frames alone.

        Args:
            features: Tensor[B, C, H, W].
            boxes: B Tensor[R_i, 4] in image pixels.
            spatial_scale: Map pixels per image pixel.
        """
        if is_exporting():
            rois = boxes_to_rois(boxes)  # in an exported graph torchvision's op, which ONNX knows
            return torch.ops.torchvision.roi_align(
                features,
                rois,
                spatial_scale,
                *self.output_size,
                self.sampling_ratio,
                self.aligned,
            )
        return roi_align(
            features, boxes, self.output_size, spatial_scale, self.sampling_ratio, self.aligned
        )

    def aggregate(self, roi_features: Tensor, support: PackedSupport) -> Tensor:
        """RoI features Tensor[R, C, h, w] with what the support frames of their video add.

        Export traces it: no branch and no loop that depends on the number of frames or RoIs.
        """
        raise NotImplementedError(f"{type(self).__name__} does not search support frames")

    def extract(
        self,
        features: Tensor,
        boxes: Sequence[Tensor],
        spatial_scale: float,
        support: PackedSupport | None = None,
    ) -> Tensor:
        """RoI features Tensor[R, C, h, w] of several frames, each with its own support frames.

        Args:
            features: Tensor[B, C, H, W].
            boxes: B Tensor[R_i, 4] in image pixels.
            spatial_scale: Map pixels per image pixel.
            support: The support maps of B videos; None where there are none to search.
        """
        roi_features = self.align(features, boxes, spatial_scale)
        if support is None:
            return roi_features
        parts = roi_features.split([len(frame_boxes) for frame_boxes in boxes])
        return torch.cat(
            [
                self.aggregate(part, support.videos([video])) if support.lengths[video] else part
                for video, part in enumerate(parts)
            ]
        )

    def sight(
        self,
        features: Tensor,
        boxes: Sequence[Tensor],
        spatial_scale: float,
        support: PackedSupport,
    ) -> Sight:
        """What the RoI positions of one target frame found in the support frames of their video.

        Args:
            features: Tensor[1, C, H, W].
            boxes: One Tensor[R, 4] in image pixels.
            spatial_scale: Map pixels per image pixel of `features`.
            support: The support maps of one video.
        """
        raise NotImplementedError(f"{type(self).__name__} does not search support frames")

    def cells(
        self,
        boxes: Tensor,
        spatial_scale: float,
        size: tuple[int, int],
        moved: Tensor | None = None,
    ) -> Tensor:
        """The cells Tensor[..., R, h, w] of a map, as y * W + x, that the bins' middles lie on.

        Args:
            boxes: Tensor[R, 4] in image pixels.
            spatial_scale: Map pixels per image pixel.
            size: (H, W) of the map.
            moved: Tensor[..., R, 2, h, w], (dx, dy) of each bin in sides of its box.
        """
        left, top, right, bottom = (edge.view(-1, 1, 1) for edge in (boxes * spatial_scale).T)
        rows, columns = ((torch.arange(n, device=boxes.device) + 0.5) / n for n in self.output_size)
        dx, dy = (0.0, 0.0) if moved is None else moved.unbind(-3)
        shift = 0.0 if self.aligned else 0.5
        x = left + (right - left) * (columns + dx) + shift
        y = top + (bottom - top) * (rows.unsqueeze(1) + dy) + shift
        x, y = (at.long().clamp(0, n - 1) for at, n in zip((x, y), reversed(size), strict=True))
        return y * size[1] + x

    def operations(self, rois: int, map_shape: tuple[int, int, int], support_frames: int) -> int:
        """Floating-point operations of what support frames add, by the equations as written.

        Args:
            rois: R.
            map_shape: (C, H, W) of a support map.
            support_frames: T.
        """
        return 0
