"""RoIAlign as a module, in the place of torchvision's."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from trovid.nn.extractors.contract import Extractor
from trovid.ops import roi_align
from trovid.ops.checks import check_size


class RoIAlign(Extractor):
    """RoIAlign (He et al., Mask R-CNN, 2017) on one map; see `trovid.ops.roi_align`.

    Args:
        output_size: (h, w) of the RoI grid, or one number for both.
        spatial_scale: Map pixels per image pixel, e.g. 1/16; a LevelPooler gives its own.
        sampling_ratio: Samples per bin and axis; <= 0: adaptive.
        aligned: Shift by half a pixel.

    Example:
        >>> import torch
        >>> boxes = [torch.tensor([[16.0, 16.0, 160.0, 120.0]])]
        >>> RoIAlign(7, 1 / 16)(torch.rand(1, 8, 20, 30), boxes).shape
        torch.Size([1, 8, 7, 7])
    """

    def __init__(
        self,
        output_size: int | Sequence[int] = 7,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 2,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = check_size(output_size)
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, features: Tensor, boxes: Tensor | Sequence[Tensor]) -> Tensor:
        """Pool.

        Args:
            features: Tensor[B, C, H, W].
            boxes: A list of B Tensor[R_i, 4] in image pixels, or Tensor[R, 5].

        Returns:
            Tensor[R, C, h, w].
        """
        return roi_align(
            features, boxes, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned
        )

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"
        )
