"""The checks that are made once, at the public boundary."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

_FAR = -6e4
MOST_SAMPLES = 128
"""Of `sampling_ratio`."""
MOST_ADAPTIVE_SAMPLES = 1024
"""Of a bin's side where the RoI's size decides; a RoI that asks for more pools zeros."""
SEARCHES = ("exact", "coarse-to-fine")
MOST_SQUARES = 256
"""Of a map that is searched coarse to fine."""


def check_maps(name: str, value: Tensor, shape: str) -> None:
    """A floating-point tensor of the rank that `shape` (such as "[R, C, h, w]") spells."""
    if not isinstance(value, Tensor):
        raise TypeError(f"`{name}` must be a Tensor{shape}, but got {type(value).__name__}")
    if value.dim() != shape.count(",") + 1:
        raise ValueError(f"`{name}` must have shape {shape}, but got {list(value.shape)}")
    if not value.is_floating_point():
        raise TypeError(f"`{name}` must be floating point, but got {value.dtype}")


def check_size(output_size: int | Sequence[int]) -> tuple[int, int]:
    """(h, w) of the RoI grid."""
    size = (output_size,) * 2 if isinstance(output_size, int) else tuple(output_size)
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"`output_size` must be (h, w) of at least 1, but got {output_size}")
    return size[0], size[1]


def check_pooling(spatial_scale: float, sampling_ratio: int) -> None:
    """The scale is a number; there is an upper bound of samples."""
    # a tuple: torch 2.6 does not compile a union of types
    if isinstance(spatial_scale, (int, float)) and not math.isfinite(spatial_scale):
        raise ValueError(f"`spatial_scale` must be finite, but is {spatial_scale}")
    if sampling_ratio > MOST_SAMPLES:
        raise ValueError(
            f"`sampling_ratio` must be at most {MOST_SAMPLES}, but is {sampling_ratio}; 2 is usual"
        )


class MagnitudeError(ValueError):
    """Values that are too large to be computed with."""


def check_range(name: str, values: Tensor, channels: int) -> None:
    """The squared lengths of vectors of so many channels stay within float32 (or float64)."""
    if torch.compiler.is_compiling() or values.is_meta or not values.numel():
        return
    compute = torch.float64 if values.dtype == torch.float64 else torch.float32
    limit = math.sqrt(torch.finfo(compute).max / max(channels, 1))
    lowest, highest = torch.aminmax(values.detach())
    reach = max(-float(lowest), float(highest))
    if limit < reach < math.inf:  # infinities and NaN are not hidden: they propagate
        raise MagnitudeError(
            f"`{name}` must lie within {limit:.1e}, where the squared length of {channels} "
            f"channels leaves {str(compute).removeprefix('torch.')}, but reach {reach:.1e}: "
            "scale them"
        )


def is_exporting() -> bool:
    """Whether torch.export traces, which wants a graph of torch's own calls."""
    return torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling()


def is_plain(tensor: Tensor) -> bool:
    """Whether only numbers are wanted, so that a function may run outside its custom op.

    The first call of a custom op brings torch's compiler along, which takes a second.
    """
    if torch.compiler.is_compiling():
        return False
    return torch.is_inference_mode_enabled() and type(tensor) is Tensor and not tensor.is_meta


def refuse_forward_mode(*values: object) -> None:
    """No tensor carries a tangent, which would be lost on the way."""
    if torch.compiler.is_compiling():
        return
    for value in values:
        for tensor in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(tensor, Tensor) and unpack_dual(tensor).tangent is not None:
                raise NotImplementedError(
                    "trovid's operators have no forward-mode derivatives (torch.func.jvp): use "
                    "backward() or torch.func.vjp"
                )


def near_rois(
    rois: Tensor, output_size: Sequence[int], spatial_scale: float, sampling_ratio: int
) -> Tensor:
    """The same RoIs; one that asks for more adaptive samples than there may be lies far outside.

    The backends' numbers of samples would differ, and torchvision's need memory without bound.
    """
    if sampling_ratio > 0:
        return rois
    height, width = output_size
    bins = (rois[:, 3:] - rois[:, 1:3]) * (spatial_scale / rois.new_tensor([width, height]))
    near = (bins <= MOST_ADAPTIVE_SAMPLES).all(dim=1, keepdim=True)
    return torch.where(near, rois, _far(rois))


def check_boxes(boxes: Tensor | Sequence[Tensor], num_images: int) -> Tensor:
    """The boxes as Tensor[R, 5] with the index in the batch in front."""
    if isinstance(boxes, Tensor):
        if boxes.dim() != 2 or boxes.shape[1] != 5:
            raise ValueError(
                f"`boxes` must have shape [R, 5] (index in the batch, x1, y1, x2, y2) or be a list "
                f"of Tensor[R_i, 4], but got a Tensor of {list(boxes.shape)}"
            )
        rois = boxes
    else:
        if len(boxes) != num_images:
            raise ValueError(
                f"`boxes` must have one Tensor[R_i, 4] for each of the {num_images} images, "
                f"but has {len(boxes)}"
            )
        for index, part in enumerate(boxes):
            if part.dim() != 2 or part.shape[1] != 4:
                raise ValueError(
                    f"`boxes[{index}]` must have shape [R, 4], but got {list(part.shape)}"
                )
        rois = boxes_to_rois(boxes)
    if isinstance(boxes, Tensor) and not torch.compiler.is_compiling():
        check_indices(rois, num_images)
    return finite_rois(rois)


def boxes_to_rois(boxes: Sequence[Tensor]) -> Tensor:
    """A list of B Tensor[R_i, 4] as one Tensor[R, 5] with the index in the batch in front."""
    parts = [torch.nn.functional.pad(b, (1, 0), value=float(i)) for i, b in enumerate(boxes)]
    return torch.cat(parts)


def finite_rois(rois: Tensor) -> Tensor:
    """The same RoIs without a graph; one that is not finite lies far outside, and pools zeros.

    torchvision's kernel reads at the place that such a box names.
    """
    rois = rois.detach()
    finite = rois.isfinite().all(dim=1, keepdim=True)
    return torch.where(finite, rois, _far(rois))


def _far(rois: Tensor) -> Tensor:
    return torch.cat([rois[:, :1], torch.full_like(rois[:, 1:], _FAR)], 1)


def check_indices(rois: Tensor, num_images: int) -> None:
    """The index in front of each of Tensor[R, 5] names an image of the batch."""
    if not len(rois):
        return
    low, high = (int(index) for index in rois[:, 0].aminmax())
    if low < 0 or high >= num_images:
        raise ValueError(
            f"`boxes[:, 0]` must be an index in the batch (0..{num_images - 1}), "
            f"but reaches from {low} to {high}"
        )


def check_top_k(top_k: int, map_size: tuple[int, int], num_frames: int) -> None:
    """At least 1 and, where there are support frames, at most H * W."""
    height, width = map_size
    cells = height * width
    if top_k < 1:
        raise ValueError(f"`top_k` must be at least 1, but is {top_k}")
    if num_frames and top_k > cells:
        raise ValueError(
            f"`top_k` must not exceed the {cells} cells of a {height}x{width} "
            f"support map, but is {top_k}: lower it or use a larger map"
        )


def check_search_name(search: str) -> None:
    """One of those that there are."""
    if search not in SEARCHES:
        raise ValueError(f"`search` must be one of {', '.join(SEARCHES)}, but is {search!r}")


def check_search(search: str, map_size: tuple[int, int], top_k: int) -> tuple[int, int, int]:
    """How a support map is searched: its width, the side of its largest squares, how many are kept.

    Coarse to fine, the largest squares have 2, 4, 8, ... cells a side, as few as they can such that
    a map has at most 256 (or 8 K) of them, and at every level a position keeps 2 K; a map that has
    no more cells is searched exactly, which is (1, 1, 1) whatever its size is.
    """
    check_search_name(search)
    height, width = map_size
    side, most = 1, max(MOST_SQUARES, 8 * top_k)
    while search != "exact" and -(-height // side) * -(-width // side) > most:
        side *= 2
    return (width, side, 2 * top_k) if side > 1 else (1, 1, 1)


def check_attention(
    num_heads: int, weight: Tensor | None, bias: Tensor | None, channels: int
) -> None:
    """The embedding's shape fits the channels and the number of heads."""
    if num_heads < 0:
        raise ValueError(f"`num_heads` must be 0 (plain average) or more, but is {num_heads}")
    if num_heads == 0:
        if weight is not None or bias is not None:
            raise ValueError("`weight` and `bias` need `num_heads` > 0; 0 is the plain average")
        return
    if channels % num_heads:
        raise ValueError(f"`num_heads` must divide the {channels} channels, but is {num_heads}")
    grouped = [channels, channels // num_heads, 3, 3]
    dense = [channels, channels, 3, 3]
    if weight is None or list(weight.shape) not in (grouped, dense):
        got = "None" if weight is None else str(list(weight.shape))
        raise ValueError(
            f"`weight` must have shape {grouped} (one embedding a group) or {dense} (dense) "
            f"for `num_heads` = {num_heads}, but got {got}"
        )
    if bias is not None and list(bias.shape) != [channels]:
        raise ValueError(f"`bias` must have shape [{channels}], but got {list(bias.shape)}")
