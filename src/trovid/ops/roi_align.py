"""RoIAlign with torchvision's meaning and a fast gradient on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchvision
from torch import Tensor


def roi_align(
    features: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """RoIAlign, interchangeable with `torchvision.ops.roi_align`.

    Without a gradient, on a GPU, or with an adaptive sampling ratio this is torchvision's own
    kernel, bit for bit. Where a gradient is asked for on the CPU and `sampling_ratio > 0`, it is
    computed as a product of matrices per RoI, `Wy F Wx^T`, which agrees within 1e-5 of the
    largest value and whose backward is many times faster than torchvision's single-threaded one.
    float16 and bfloat16 are computed in float32 and rounded once, as torchvision does under
    autocast.

    Args:
        features: Tensor[B, C, H, W].
        boxes: Tensor[R, 5] (index in the batch, x1, y1, x2, y2) or a list of B Tensor[R_i, 4],
            in image pixels.
        output_size: (h, w) of the RoI grid, or one number for both.
        spatial_scale: Map pixels per image pixel, e.g. 1/16.
        sampling_ratio: Samples per bin and axis; <= 0: as many as the RoI's size asks for.
        aligned: Shift by half a pixel, as Detectron2 does.

    Returns:
        Tensor[R, C, h, w] in the dtype of `features`.

    Example:
        >>> features = torch.rand(1, 8, 20, 20)
        >>> boxes = [torch.tensor([[16.0, 16.0, 160.0, 120.0]])]
        >>> roi_align(features, boxes, 7, spatial_scale=1 / 16, sampling_ratio=2).shape
        torch.Size([1, 8, 7, 7])
    """
    size = (output_size,) * 2 if isinstance(output_size, int) else tuple(output_size)
    rois = boxes if isinstance(boxes, Tensor) else boxes_to_rois(boxes)
    compute = torch.float64 if features.dtype == torch.float64 else torch.float32
    with torch.autocast(features.device.type, enabled=False):
        maps, rois = features.to(compute), rois.to(compute)
        needs_grad = torch.is_grad_enabled() and features.requires_grad
        if needs_grad and sampling_ratio > 0 and features.device.type == "cpu":
            pooled = _separable_roi_align(maps, rois, size, spatial_scale, sampling_ratio, aligned)
        else:
            pooled = torchvision.ops.roi_align(
                maps, rois, size, spatial_scale, sampling_ratio, aligned
            )
    return pooled.to(features.dtype)


def boxes_to_rois(boxes: Sequence[Tensor]) -> Tensor:
    """A list of B Tensor[R_i, 4] as one Tensor[R, 5] with the index in the batch in front."""
    parts = [torch.nn.functional.pad(b, (1, 0), value=float(i)) for i, b in enumerate(boxes)]
    return torch.cat(parts)


def _separable_roi_align(
    features: Tensor,
    rois: Tensor,
    size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    channels, height, width = features.shape[1:]
    rois = rois.detach()
    edges = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    along_y = _axis_weights(edges[:, 1], edges[:, 3], size[0], height, sampling_ratio, aligned)
    along_x = _axis_weights(edges[:, 0], edges[:, 2], size[1], width, sampling_ratio, aligned)

    image = rois[:, 0].long()
    order = torch.argsort(image, stable=True)
    counts = torch.bincount(image, minlength=len(features)).tolist()
    rows = features.permute(0, 2, 3, 1).reshape(len(features), height, width * channels)
    strips = [
        weights.flatten(0, 1) @ rows[index]
        for index, weights in enumerate(along_y[order].split(counts))
        if len(weights)
    ]
    if not strips:
        return features.sum() * features.new_zeros(0, channels, *size)
    strips_of_rois = torch.cat(strips).view(len(rois), size[0], width, channels)
    pooled = torch.matmul(along_x[order].unsqueeze(1), strips_of_rois)
    if not torch.equal(order, torch.arange(len(order), device=order.device)):
        pooled = pooled[torch.argsort(order)]
    return pooled.permute(0, 3, 1, 2)


def _axis_weights(
    start: Tensor, end: Tensor, bins: int, cells: int, sampling_ratio: int, aligned: bool
) -> Tensor:
    """Bilinear weights Tensor[R, bins, cells] of each bin along one axis.

    As in torchvision, a sample further than one cell outside the map counts as zero; one nearer
    takes the border's value.
    """
    length = end - start
    if not aligned:
        length = length.clamp(min=1.0)
    bin_length = (length / bins).view(-1, 1, 1)
    bin_index = torch.arange(bins, dtype=start.dtype, device=start.device).view(1, -1, 1)
    sample = torch.arange(sampling_ratio, dtype=start.dtype, device=start.device) + 0.5
    position = start.view(-1, 1, 1) + bin_index * bin_length + sample * bin_length / sampling_ratio
    inside = ((position >= -1.0) & (position <= cells)).to(position.dtype)
    position = position.clamp(0.0, cells - 1.0)
    low = position.floor()
    fraction = (position - low) * inside
    low_index = low.long()
    high_index = (low_index + 1).clamp(max=cells - 1)
    weights = start.new_zeros(len(start), bins, cells)
    weights.scatter_add_(2, low_index, inside - fraction)
    weights.scatter_add_(2, high_index, fraction)
    return weights / sampling_ratio
