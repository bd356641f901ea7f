"""RoIAlign on a dict of levels, torchvision's with the fast CPU gradient of `trovid.ops`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from trovid.nn.temporal_roi_align import MultiScaleTemporalRoIAlign


class MultiScaleRoIAlign(nn.Module):
    """In the place of torchvision's MultiScaleRoIAlign, with equal results.

    Args:
        featmap_names: The levels used, finest first.
        output_size: Side of the RoI grid.
        sampling_ratio: RoIAlign's samples per bin and axis.
        aligned: RoIAlign's shift by half a pixel.
    """

    def __init__(
        self,
        featmap_names: Sequence[str],
        output_size: int = 7,
        sampling_ratio: int = 2,
        *,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.pool = MultiScaleTemporalRoIAlign(
            featmap_names, output_size, sampling_ratio, aligned=aligned, num_heads=0
        )

    @property
    def output_size(self) -> tuple[int, int]:
        """(h, w) of the RoI grid."""
        return self.pool.output_size

    def forward(
        self,
        x: dict[str, Tensor],
        boxes: Sequence[Tensor],
        image_shapes: Sequence[tuple[int, int]],
    ) -> Tensor:
        """Levels of Tensor[B, C, H_l, W_l] and B Tensor[R_i, 4] to Tensor[R, C, h, w]."""
        nothing = {n: t.new_zeros((len(t), 0, *t.shape[1:])) for n, t in x.items()}
        return self.pool(x, nothing, boxes, image_shapes)
