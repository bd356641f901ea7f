"""Temporal RoI Align: RoIAlign that also looks at other frames; the function and its custom ops.

`trovid::temporal_roi_align` and its gradient, an op of its own that starts from what the forward
pass selected, are what autograd, torch.compile and torch.export see, whatever the backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_type_hints

import torch
import torchvision
from torch import Tensor
from torch.fx import Proxy
from torch.overrides import handle_torch_function

from trovid.ops.checks import (
    check_attention,
    check_boxes,
    check_indices,
    check_maps,
    check_pooling,
    check_range,
    check_search,
    check_size,
    check_top_k,
    is_plain,
    near_rois,
    refuse_forward_mode,
)
from trovid.ops.roi_align import roi_align
from trovid.ops.temporal_roi_align import reference
from trovid.ops.temporal_roi_align.backends import (
    reads_planes,
    requested_backend,
    run_backward,
    run_forward,
)
from trovid.ops.temporal_roi_align.packed import PackedSupport, check_support, compute_dtype
from trovid.ops.temporal_roi_align.problem import TENSORS, Gradients, Problem, Selection

NO_TORCHSCRIPT = (
    "TorchScript has no types for what temporal_roi_align takes (lists and packed support frames): "
    "use torch.export or torch.compile"
)


def temporal_roi_align(
    features: Tensor,
    support_features: Tensor | Sequence[Tensor] | PackedSupport | None,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
    *,
    top_k: int = 4,
    num_heads: int = 0,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    logit_scale: float = 1.0,
    search: str = "exact",
    backend: str = "auto",
) -> Tensor:
    """Temporal RoI Align (Gong et al., AAAI 2021), in the place of `torchvision.ops.roi_align`.

    RoIAlign on the target frame, the most similar features of each RoI position in every support
    frame (Eq. 2 to 4), and their temporal attention (Eq. 5 to 8) or plain average. Without support
    frames it is RoIAlign: bit for bit torchvision's, except where a gradient is asked for on the
    CPU (see `trovid.ops.roi_align`).

    Args:
        features: Tensor[B, C, H, W]: one target frame of each of B videos.
        support_features: Tensor[B, T, C, H, W], a list of B Tensor[T_i, C, H, W] (T_i may be 0),
            or a PackedSupport. A RoI searches the support frames of its own video only. None for
            no support frames.
        boxes: A list of B Tensor[R_i, 4] (x1, y1, x2, y2 in image pixels) or Tensor[R, 5] with
            the index in the batch in front.
        output_size: (h, w) of the RoI grid, or one number for both.
        spatial_scale: Map pixels per image pixel, e.g. 1/16.
        sampling_ratio: RoIAlign's samples per bin and axis, at most 128; <= 0: adaptive (a RoI
            that asks for more than 1024 pools zeros).
        aligned: RoIAlign's shift by half a pixel.
        top_k: K, the number of most similar cells in each support frame (4 in the paper).
        num_heads: N, the number of groups of channels in the attention (4 in the paper); 0
            replaces the attention by the plain mean over the T+1 sets.
        weight: The attention's 3x3 embedding, needed for `num_heads` > 0: Tensor[C, C/N, 3, 3]
            (grouped, the paper) or Tensor[C, C, 3, 3] (dense, the published code).
        bias: Tensor[C], the embedding's bias, or None.
        logit_scale: Factor of the attention's logits (1 in the paper).
        search: "exact", or "coarse-to-fine" on maps of more than 256 (or 8 K) cells: large squares
            of cells are compared first, then the quarters of the 2 K most similar of them, and so
            on down to the cells. Faster on large maps, and not always the same cells
            (docs/operator.md).
        backend: "auto" or one of `trovid.ops.backends()`; the environment variable
            TROVID_BACKEND replaces "auto".

    Returns:
        Tensor[R, C, h, w] in the dtype of `features`, in the order of `boxes`. Similarities and
        softmax are computed in float32 (float64 for float64 input).

    Raises:
        ValueError: If a shape does not fit, `top_k` exceeds H * W, or squared lengths of features
            leave float32 (values from about 1e18 on).
        NotImplementedError: Under torch.func.jvp.
        TypeError: If maps are not floating point.

    Example:
        >>> features, maps = torch.rand(1, 8, 20, 30), torch.rand(1, 14, 8, 20, 30)
        >>> boxes = [torch.tensor([[16.0, 16.0, 160.0, 120.0]])]
        >>> temporal_roi_align(features, maps, boxes, 7, 1 / 16, 2).shape
        torch.Size([1, 8, 7, 7])
    """
    tensors = (features, support_features, boxes, weight, bias)
    if any(isinstance(tensor, Proxy) for tensor in tensors):  # torch.fx: one node
        return handle_torch_function(
            temporal_roi_align,
            tensors,
            features,
            support_features,
            boxes,
            output_size,
            spatial_scale,
            sampling_ratio,
            aligned,
            top_k=top_k,
            num_heads=num_heads,
            weight=weight,
            bias=bias,
            logit_scale=logit_scale,
            search=search,
            backend=backend,
        )
    if torch.jit.is_tracing():
        raise NotImplementedError(NO_TORCHSCRIPT)
    check_maps("features", features, "[B, C, H, W]")
    packed = support_features.rows if isinstance(support_features, PackedSupport) else None
    refuse_forward_mode(features, packed if packed is not None else support_features, weight, bias)
    size = check_size(output_size)
    check_pooling(spatial_scale, sampling_ratio)
    check_range("features", features, features.shape[1])
    rois = near_rois(check_boxes(boxes, len(features)), size, spatial_scale, sampling_ratio)
    if support_features is None:
        support_features = features.new_empty(len(features), 0, *features.shape[1:])
    maps = support_features if isinstance(support_features, Sequence) else (support_features,)
    read = reads_planes(backend, features, *maps)
    planes = read and not _want_gradients(features, *maps, weight, bias)
    support = check_support(support_features, len(features), features.shape[1], planes)
    check_top_k(top_k, support.size, support.num_frames)
    squares = check_search(search, support.size, top_k)
    check_attention(num_heads, weight, bias, features.shape[1])
    dtype = compute_dtype(features.dtype)
    with torch.autocast(features.device.type, enabled=False):
        support = support.computed_in(dtype)
        problem = Problem(
            features.to(dtype),
            support.rows,
            None if weight is None else weight.to(dtype),
            None if bias is None else bias.to(dtype),
            support.inverse_norms,
            rois.to(dtype),
            support.basis,
            support.prefixes,
            support.lengths,
            size,
            spatial_scale,
            sampling_ratio,
            aligned,
            top_k,
            num_heads,
            logit_scale,
            *squares,
        )
        backend = requested_backend(backend)
        if not support.num_frames:
            align = torchvision.ops.roi_align if backend == "reference" else roi_align
            pooling = size, spatial_scale, sampling_ratio, aligned
            output = align(problem.features, problem.rois, *pooling)
        elif backend == "reference":
            output = _by_equations(problem, support.size)
        else:
            arguments = (*problem, backend)
            keep = _want_gradients(*arguments[:_DIFFERENTIABLE])
            output, *_ = (_run_forward if is_plain(features) else _forward)(*arguments, keep)
    return output.to(features.dtype)


def _want_gradients(*leaves: object) -> bool:
    return torch.is_grad_enabled() and any(
        isinstance(t, Tensor) and t.requires_grad for t in leaves
    )


def _by_equations(problem: Problem, map_size: tuple[int, int]) -> Tensor:
    """The equations as written, video after video; the gradients are autograd's."""
    roi_features = torchvision.ops.roi_align(problem.features, problem.rois, *problem.pooling)
    video_of_roi = problem.rois[:, 0].long()
    maps = problem.rows.unflatten(1, map_size).permute(0, 3, 1, 2).split(problem.lengths)
    parts, places = [], []
    for video, support_maps in enumerate(maps):
        index = (video_of_roi == video).nonzero().squeeze(1)
        part = roi_features[index]
        if len(index) and len(support_maps):
            similar, _, _ = reference.most_similar_roi_align(
                part, support_maps, problem.top_k, problem.square, problem.squares
            )
            heads, weight, bias, logit_scale = problem.attention
            if weight is None:
                part = reference.average(part, similar)
            else:
                part, _ = reference.temporal_attention(
                    part, similar, heads, weight, bias, logit_scale
                )
        parts.append(part)
        places.append(index)
    return torch.cat(parts)[torch.cat(places).argsort()]


_TYPES = {
    Tensor: "Tensor",
    Tensor | None: "Tensor?",
    tuple[int, ...]: "SymInt[]",
    tuple[int, int]: "int[2]",
    float: "float",
    int: "int",
    bool: "bool",
}
_PROBLEM = ", ".join(f"{_TYPES[kind]} {name}" for name, kind in get_type_hints(Problem).items())
_TENSORS, _DIFFERENTIABLE = len(TENSORS), len(Gradients._fields)


def _run_forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *fields, backend, keep = arguments
    problem = Problem(*fields)
    check_indices(problem.rois, len(problem.lengths))
    output, selection = run_forward(backend, problem, keep)
    return output.contiguous(), *(selection or _no_selection(output))


def _no_selection(output: Tensor) -> Selection:
    nothing = torch.empty(0, dtype=torch.int32, device=output.device)
    return Selection(output.new_empty(0), output.new_empty(0), nothing)


def _run_backward(grad_output: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    selection, (*fields, backend) = Selection(*arguments[:3]), arguments[3:]
    gradients = run_backward(backend, Problem(*fields), selection, grad_output)
    features, *others = (grad_output.new_empty(0) if g is None else g for g in gradients)
    return features.contiguous(memory_format=torch.channels_last), *(g.contiguous() for g in others)


_forward = torch.library.custom_op(
    "trovid::temporal_roi_align",
    _run_forward,
    mutates_args=(),
    schema=f"({_PROBLEM}, str backend, bool keep) -> (Tensor, Tensor, Tensor, Tensor)",
)
_backward = torch.library.custom_op(
    "trovid::temporal_roi_align_backward",
    _run_backward,
    mutates_args=(),
    schema="(Tensor grad_output, Tensor sets, Tensor scores, Tensor indices, "
    f"{_PROBLEM}, str backend) -> (Tensor, Tensor, Tensor, Tensor)",
)


@_forward.register_fake
def _(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *fields, _, keep = arguments
    problem = Problem(*fields)
    features, rois, grid = problem.features, problem.rois.shape[0], problem.output_size
    output = features.new_empty(rois, features.shape[1], *grid)
    if not keep:
        return output, *_no_selection(output)
    sets = features.new_empty(rois, *grid, features.shape[1])
    scores = features.new_empty(max(problem.lengths), rois * grid[0] * grid[1], problem.top_k)
    return output, sets, scores, torch.empty_like(scores, dtype=torch.int32)


@_backward.register_fake
def _(grad_output: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    features, *others = arguments[3 : 3 + _DIFFERENTIABLE]
    return (
        torch.empty_like(features, memory_format=torch.channels_last),
        *(features.new_empty(0 if tensor is None else tensor.shape) for tensor in others),
    )


def _setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
    ctx.save_for_backward(*inputs[:_TENSORS], *output[1:])
    ctx.settings = inputs[_TENSORS:-1]
    ctx.set_materialize_grads(False)


def _gradient(ctx: Any, grad_output: Tensor | None, *_: Tensor | None) -> tuple:
    others = (None,) * (_TENSORS - _DIFFERENTIABLE + len(ctx.settings) + 1)
    if grad_output is None:
        return (None,) * _DIFFERENTIABLE + others
    tensors, selection = ctx.saved_tensors[:_TENSORS], ctx.saved_tensors[_TENSORS:]
    gradients = _backward(grad_output, *selection, *tensors, *ctx.settings)
    wanted = ctx.needs_input_grad[:_DIFFERENTIABLE]
    return *(g if want else None for g, want in zip(gradients, wanted, strict=True)), *others


_forward.register_autograd(_gradient, setup_context=_setup_context)


def _no_second_gradient(ctx: Any, *_: Tensor) -> tuple:
    raise RuntimeError(
        "temporal_roi_align has first derivatives only: use backend='reference' for second ones"
    )


_backward.register_autograd(_no_second_gradient)
