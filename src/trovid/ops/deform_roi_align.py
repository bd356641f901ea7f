"""Modulated deformable RoI Align (Zhu et al., Deformable ConvNets v2, 2019), exact and plain.

Each bin of RoIAlign is moved by an offset of its own and its value multiplied by a mask of its
own. The gradients of boxes, offsets and mask are the derivatives of the written equation; the
published kernel differs where a sample lies beyond the map's outermost cells
(tests/ops/test_deform_roi_align.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.ops.checks import (
    boxes_to_rois,
    check_indices,
    check_maps,
    check_size,
    finite_rois,
)

Grid = tuple[int, int]


def deform_roi_align(
    features: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | Sequence[int],
    offsets: Tensor,
    mask: Tensor | None = None,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = True,
    *,
    gamma: float = 0.1,
) -> Tensor:
    """RoIAlign whose bins are moved and weighted.

    Bin (i, j) of a RoI of w x h map pixels is moved by `gamma * (w * dx, h * dy)`, pooled as
    RoIAlign pools it, and multiplied by its mask. With zero offsets and a mask of one it is
    RoIAlign. float16 and bfloat16 are computed in float32 and rounded once.

    Args:
        features: Tensor[B, C, H, W].
        boxes: Tensor[R, 5] (index in the batch, x1, y1, x2, y2) or a list of B Tensor[R_i, 4], in
            image pixels; a gradient flows to them. One that is not finite pools zeros.
        output_size: (h, w) of the RoI grid, or one number for both.
        offsets: Tensor[R, 2, h, w], dx and dy of each bin.
        mask: Tensor[R, 1, h, w], or None for ones.
        spatial_scale: Map pixels per image pixel, e.g. 1/16.
        sampling_ratio: Samples per bin and axis; <= 0: as many as the RoI's size asks for.
        aligned: Shift by half a pixel (the published code), and no smallest RoI; otherwise a RoI
            has at least one map pixel a side, as in torchvision.
        gamma: Scale of the offsets.

    Returns:
        Tensor[R, C, h, w] in the dtype of `features`.

    Raises:
        ValueError: If a shape does not fit.
        TypeError: If `features` is not floating point.

    Example:
        >>> boxes = [torch.tensor([[16.0, 16.0, 160.0, 120.0]])]
        >>> offsets = torch.zeros(1, 2, 7, 7)
        >>> deform_roi_align(torch.rand(1, 8, 20, 30), boxes, 7, offsets, None, 1 / 16, 2).shape
        torch.Size([1, 8, 7, 7])
    """
    rois, size = _checked(features, boxes, output_size, offsets, mask)
    dtype = torch.float64 if features.dtype == torch.float64 else torch.float32
    with torch.autocast(features.device.type, enabled=False):
        values = features.to(dtype)
        moved = offsets.to(dtype)
        rows = values.permute(0, 2, 3, 1).reshape(-1, values.shape[1])
        parts, places = [], []
        for index, samples in _by_samples(rois, size, spatial_scale, sampling_ratio, aligned):
            centre = _centres(
                rois[index].to(dtype), moved[index], size, samples, spatial_scale, aligned, gamma
            )
            parts.append(_weighted_sums(rows, rois[index, 0], centre, features.shape[-2:]))
            places.append(index)
        pooled = torch.cat(parts)[torch.cat(places).argsort()]
        pooled = pooled.view(len(rois), *size, features.shape[1]).permute(0, 3, 1, 2)
        if mask is not None:
            pooled = pooled * mask.to(dtype)
    return pooled.to(features.dtype)


def deform_roi_align_reference(
    features: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | Sequence[int],
    offsets: Tensor,
    mask: Tensor | None = None,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = True,
    *,
    gamma: float = 0.1,
) -> Tensor:
    """The equation as written, RoI by RoI, bin by bin, sample by sample; see `deform_roi_align`."""
    rois, (height, width) = _checked(features, boxes, output_size, offsets, mask)
    bins = []
    for roi, offset in zip(rois, offsets, strict=True):
        left, top, w, h = _extent(roi[None], spatial_scale, aligned)[0]
        counting = spatial_scale, sampling_ratio, aligned
        down, across = _sample_counts(roi[None], (height, width), *counting)[0].tolist()
        feature_map = features[int(roi[0])]
        for i in range(height):
            for j in range(width):
                total = feature_map.new_zeros(feature_map.shape[0])
                for m in range(down):
                    for n in range(across):
                        y = top + (i + (m + 0.5) / down) * h / height + gamma * h * offset[1, i, j]
                        x = (
                            left
                            + (j + (n + 0.5) / across) * w / width
                            + gamma * w * offset[0, i, j]
                        )
                        total = total + _bilinear(feature_map, y, x)
                bins.append(total / max(down * across, 1))
    pooled = torch.stack(bins) if bins else features.new_zeros(0, features.shape[1])
    pooled = pooled.view(len(rois), height, width, features.shape[1]).permute(0, 3, 1, 2)
    return pooled if mask is None else pooled * mask


def _bilinear(feature_map: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Tensor[C] of one point of Tensor[C, H, W]."""
    height, width = feature_map.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return feature_map.new_zeros(feature_map.shape[0])
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = int(y.floor()), int(x.floor())
    below, right = min(top + 1, height - 1), min(left + 1, width - 1)
    ly, lx = y - top, x - left
    upper = (1 - lx) * feature_map[:, top, left] + lx * feature_map[:, top, right]
    lower = (1 - lx) * feature_map[:, below, left] + lx * feature_map[:, below, right]
    return (1 - ly) * upper + ly * lower


def _checked(
    features: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | Sequence[int],
    offsets: Tensor,
    mask: Tensor | None,
) -> tuple[Tensor, Grid]:
    """The RoIs as Tensor[R, 5], with their graph, and the RoI grid."""
    check_maps("features", features, "[B, C, H, W]")
    size = check_size(output_size)
    if isinstance(boxes, Tensor):
        if boxes.dim() != 2 or boxes.shape[1] != 5:
            raise ValueError(
                f"`boxes` must have shape [R, 5] or be a list of Tensor[R_i, 4], "
                f"but got a Tensor of {list(boxes.shape)}"
            )
        rois = boxes
        check_indices(rois, len(features))
    else:
        if len(boxes) != len(features):
            raise ValueError(
                f"`boxes` must have one Tensor[R_i, 4] for each of the {len(features)} images, "
                f"but has {len(boxes)}"
            )
        rois = boxes_to_rois(boxes)
    for name, value, channels in (("offsets", offsets, 2), ("mask", mask, 1)):
        wanted = [len(rois), channels, *size]
        if value is not None and list(value.shape) != wanted:
            raise ValueError(f"`{name}` must have shape {wanted}, but got {list(value.shape)}")
    finite = rois.isfinite().all(1, keepdim=True)
    return torch.where(finite, rois, finite_rois(rois)), size


def _extent(rois: Tensor, spatial_scale: float, aligned: bool) -> Tensor:
    """Left, top, width and height in map pixels, Tensor[R, 4]."""
    corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    extent = corners[:, 2:] - corners[:, :2]
    return torch.cat([corners[:, :2], extent if aligned else extent.clamp(min=1.0)], 1)


def _sample_counts(
    rois: Tensor, size: Grid, spatial_scale: float, sampling_ratio: int, aligned: bool
) -> Tensor:
    """Samples of a bin down and across, int64 Tensor[R, 2]; 0 for a RoI without height or width."""
    if sampling_ratio > 0:
        return torch.full((len(rois), 2), sampling_ratio, device=rois.device)
    extent = _extent(rois.detach(), spatial_scale, aligned)[:, [3, 2]]
    return (extent / extent.new_tensor(size)).ceil().clamp(min=0).long()


def _by_samples(
    rois: Tensor, size: Grid, spatial_scale: float, sampling_ratio: int, aligned: bool
) -> list[tuple[Tensor, Grid]]:
    """The RoIs in groups that have as many samples a bin: their places, and the number."""
    if sampling_ratio > 0 or not len(rois):
        number = max(sampling_ratio, 1)
        return [(torch.arange(len(rois), device=rois.device), (number, number))]
    counts = _sample_counts(rois, size, spatial_scale, sampling_ratio, aligned)
    return [
        ((counts == samples).all(1).nonzero().squeeze(1), (int(samples[0]), int(samples[1])))
        for samples in counts.unique(dim=0)
    ]


def _centres(
    rois: Tensor,
    offsets: Tensor,
    size: Grid,
    samples: Grid,
    spatial_scale: float,
    aligned: bool,
    gamma: float,
) -> tuple[Tensor, Tensor]:
    """Rows and columns of the samples in map pixels, each Tensor[R, h, w, down, across]."""
    left, top, w, h = (
        part.view(-1, 1, 1, 1, 1) for part in _extent(rois, spatial_scale, aligned).T
    )
    dx, dy = (offsets[:, axis, :, :, None, None] for axis in (0, 1))
    down, across = (_steps(size[axis], samples[axis], rois) for axis in (0, 1))
    y = top + down.view(1, size[0], 1, -1, 1) * h + gamma * h * dy
    x = left + across.view(1, 1, size[1], 1, -1) * w + gamma * w * dx
    shape = torch.broadcast_shapes(y.shape, x.shape)
    return y.expand(shape), x.expand(shape)


def _steps(bins: int, samples: int, like: Tensor) -> Tensor:
    """Where the samples of each bin lie along a RoI of length 1, Tensor[bins, samples]."""
    bin_index = torch.arange(bins, dtype=like.dtype, device=like.device).unsqueeze(1)
    sample = torch.arange(samples, dtype=like.dtype, device=like.device) + 0.5
    return (bin_index + sample / max(samples, 1)) / bins


def _weighted_sums(
    rows: Tensor, image_of_roi: Tensor, centres: tuple[Tensor, Tensor], map_size: Sequence[int]
) -> Tensor:
    """Tensor[R, h * w * C]: of each bin the mean of its samples, each a sum of four cells."""
    height, width = map_size
    y, x = centres
    number = max(y.shape[3] * y.shape[4], 1)
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y = torch.where(inside, y, 0.0).clamp(0, height - 1)
    x = torch.where(inside, x, 0.0).clamp(0, width - 1)
    top, left = y.detach().floor().long(), x.detach().floor().long()
    below, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    ly, lx = y - top, x - left
    share = inside.to(rows.dtype) / number
    first = (image_of_roi.long() * (height * width)).view(-1, 1, 1, 1, 1)
    cells = [first + i * width + j for i in (top, below) for j in (left, right)]
    weights = [a * b * share for a in (1 - ly, ly) for b in (1 - lx, lx)]
    bags = y.shape[0] * y.shape[1] * y.shape[2]
    if not cells[0].numel():
        nothing = rows[:0].sum() + y.sum() + x.sum()
        return nothing.expand(y.shape[0], y.shape[1] * y.shape[2] * rows.shape[1])
    sums = F.embedding_bag(
        torch.stack(cells, -1).view(bags, -1),
        rows,
        mode="sum",
        per_sample_weights=torch.stack(weights, -1).view(bags, -1),
    )
    return sums.view(y.shape[0], y.shape[1] * y.shape[2] * rows.shape[1])
