"""The triton backend: kernels for what torch's calls cannot do in bounded memory on a GPU.

Similarities are ranked while they are computed, the most similar features are gathered where they
are needed, and the embedding is absorbed into the target, so that neither a similarity volume nor
the most similar features of all frames exist. Everything is exact float32 and summed in a fixed
order: the same input gives the same bits (apart from the gradient of the features for an adaptive
`sampling_ratio`, which is torchvision's). float64 and K above 16 are left to `direct`.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import torch
import torchvision
from torch import Tensor

from trovid.ops.roi_align import roi_align_gradient, rois_of_images, separable_gradient
from trovid.ops.temporal_roi_align.direct.selection import most_similar_gradient, weighted_rows
from trovid.ops.temporal_roi_align.problem import Gradients, Problem, Selection

if TYPE_CHECKING:
    from trovid.ops.temporal_roi_align.triton.attention import Embedding

WORKSPACE_BYTES = 64 * 2**20
"""Bound on the temporaries that grow with the number of RoIs."""

LARGEST_K = 16
"""The kernels keep the K best in registers."""


class _Video(NamedTuple):
    """One video that has RoIs and support frames.

    Attributes:
        rois: Tensor[R'], the places of its RoIs among all.
        frames: The places of its support frames among all.
    """

    rois: Tensor
    frames: slice


def unavailable() -> str | None:
    """Why the backend cannot be used, in one line; None where it can."""
    if find_spec("triton") is None:
        return "the package triton is not installed: pip install triton"
    if not torch.cuda.is_available() and not _interpreted():
        return "torch sees no CUDA device"
    return None


def forward(problem: Problem, keep: bool) -> tuple[Tensor, Selection | None] | None:
    """See `backends`; None for float64 and large K."""
    if _left_to_direct(problem):
        return None
    with _on_device(problem):
        return _forward(problem, keep)


def backward(problem: Problem, selection: Selection, grad_output: Tensor) -> Gradients | None:
    """See `backends`; None for float64 and large K."""
    if _left_to_direct(problem):
        return None
    with _on_device(problem):
        return _backward(problem, selection, grad_output)


def _left_to_direct(problem: Problem) -> bool:
    return problem.features.dtype == torch.float64 or problem.top_k > LARGEST_K


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1"


@contextmanager
def _on_device(problem: Problem) -> Generator[None]:
    """Launches on the tensors' device, with products in full float32 whatever torch is set to."""
    if problem.features.device.type != "cuda" and not _interpreted():
        raise ValueError(
            "the backend 'triton' needs tensors on a CUDA device, "
            f"but got {problem.features.device}: use 'auto'"
        )
    products = torch.backends.cuda.matmul
    newer = hasattr(products, "fp32_precision")
    name, exact = ("fp32_precision", "ieee") if newer else ("allow_tf32", False)
    before = getattr(products, name)
    setattr(products, name, exact)
    try:
        with torch.cuda.device_of(problem.features):
            yield
    finally:
        setattr(products, name, before)


def _forward(problem: Problem, keep: bool) -> tuple[Tensor, Selection | None]:
    from trovid.ops.temporal_roi_align.triton.attention import attend
    from trovid.ops.temporal_roi_align.triton.select import select
    from trovid.ops.temporal_roi_align.triton.sets import Sets, mix

    roi_features = torchvision.ops.roi_align(problem.features, problem.rois, *problem.pooling)
    positions = roi_features.permute(0, 2, 3, 1).contiguous()
    output = positions.clone()
    area = positions.shape[1] * positions.shape[2]
    kept = max(problem.lengths), len(output), area, problem.top_k
    scores = positions.new_zeros(kept) if keep else None
    indices = torch.zeros(kept, dtype=torch.int32, device=output.device) if keep else None
    embedding = _embedding(problem)
    for rois, frames in _videos(problem):
        rows, norms = problem.rows[frames], problem.inverse_norms[frames]
        features = positions[rois]
        cosines, cells = select(problem, problem.rois[rois], features.flatten(0, 2), rows, norms)
        if scores is not None and indices is not None:
            scores[: len(rows), rois] = cosines.unflatten(1, (-1, area))
            indices[: len(rows), rois] = cells.unflatten(1, (-1, area))
        for some, places in _parts(problem, len(rois), frames, tensors=1):
            part, shares = features[some], cosines[:, places].softmax(dim=2)
            sets = Sets(rows, _indices(cells[:, places], rows), shares, problem.output_size)
            if embedding is None:
                total = mix(sets, torch.ones_like(shares[:, None, :, 0]), part.shape[3])
                output[rois[some]] = (part + total.view_as(part)) / (len(rows) + 1)
            else:
                output[rois[some]] = attend(part, sets, embedding)
    output = output.permute(0, 3, 1, 2).contiguous()
    if scores is None or indices is None:
        return output, None
    return output, Selection(positions, scores.flatten(1, 2), indices.flatten(1, 2))


def _backward(problem: Problem, selection: Selection, grad_output: Tensor) -> Gradients:
    from trovid.ops.temporal_roi_align.triton.attention import attend_gradient
    from trovid.ops.temporal_roi_align.triton.sets import Sets

    area = problem.output_size[0] * problem.output_size[1]
    positions, grads = selection.sets, grad_output.permute(0, 2, 3, 1).contiguous()
    scores, indices = (kept.unflatten(1, (-1, area)) for kept in selection[1:])
    grad_positions = grads.clone()
    grad_rows = torch.zeros_like(problem.rows)
    embedding = _embedding(problem)
    grad_matrix = None if embedding is None else torch.zeros_like(embedding.matrix)
    grad_bias = grads.new_zeros(grads.shape[3])
    for rois, frames in _videos(problem):
        rows, norms = problem.rows[frames], problem.inverse_norms[frames]
        count, channels = len(rows), rows.shape[2]
        for some, _ in _parts(problem, len(rois), frames, tensors=4):
            index = rois[some]
            part, grad = positions[index], grads[index]
            cosines, cells = (kept[:count, index].flatten(1, 2) for kept in (scores, indices))
            chosen = _indices(cells, rows)
            similar = weighted_rows(rows, chosen, cosines.softmax(dim=2))
            if embedding is None or grad_matrix is None:
                grad_part = grad / (count + 1)
                grad_sets = grad_part.flatten(0, 2).expand_as(similar)
            else:
                itself = torch.arange(similar[..., 0].numel(), device=similar.device)
                itself = itself.view(count, -1, 1)
                sets = Sets(similar, itself, torch.ones_like(cosines[..., :1]), problem.output_size)
                of = attend_gradient(grad, part, sets, embedding)
                grad_part, grad_sets = of.features, of.sets
                grad_matrix += of.matrix
                grad_bias += of.bias
            of_positions, of_rows = most_similar_gradient(
                grad_sets, None, part.view(-1, channels), rows, cosines, chosen, norms
            )
            grad_positions[index] = grad_part + of_positions.view_as(part)
            grad_rows[frames] += of_rows
    align_gradient = separable_gradient if problem.sampling_ratio > 0 else roi_align_gradient
    grad_features = align_gradient(
        grad_positions.permute(0, 3, 1, 2).contiguous(),
        problem.rois,
        problem.features.shape,
        *problem.pooling,
    )
    if grad_matrix is None or problem.weight is None:
        return Gradients(grad_features, grad_rows, None, None)
    grad_weight = grad_matrix.view(len(problem.weight), 3, 3, -1).permute(0, 3, 1, 2).contiguous()
    return Gradients(
        grad_features, grad_rows, grad_weight, None if problem.bias is None else grad_bias
    )


def _embedding(problem: Problem) -> Embedding | None:
    from trovid.ops.temporal_roi_align.triton.attention import Embedding

    heads, weight, bias, scale = problem.attention
    return None if weight is None else Embedding.of(heads, weight, bias, scale)


def _videos(problem: Problem) -> Iterator[_Video]:
    """The videos that have RoIs and support frames."""
    start = 0
    members = rois_of_images(problem.rois, len(problem.lengths))
    for length, rois in zip(problem.lengths, members, strict=True):
        if length and len(rois):
            yield _Video(rois, slice(start, start + length))
        start += length


def _parts(
    problem: Problem, rois: int, frames: slice, *, tensors: int
) -> Iterator[tuple[slice, slice]]:
    """As many of a video's RoIs at a time as the workspace holds, and their positions.

    `tensors` is how many of the sizes of the absorbed embedding and of the sets exist at a time.
    """
    area = problem.output_size[0] * problem.output_size[1]
    channels = problem.features.shape[1]
    values = channels if tensors == 1 else (frames.stop - frames.start) * channels
    if problem.weight is not None:
        values += 9 * (channels + problem.num_heads * problem.weight.shape[1])
    step = max(1, WORKSPACE_BYTES // (tensors * area * values * problem.features.element_size()))
    for low in range(0, rois, step):
        high = min(low + step, rois)
        yield slice(low, high), slice(low * area, high * area)


def _indices(cells: Tensor, rows: Tensor) -> Tensor:
    """Cells of frames, Tensor[T, M, K], as indices into all the rows of Tensor[T, P, C]."""
    first = torch.arange(len(rows), device=rows.device) * rows.shape[1]
    return (cells + first.view(-1, 1, 1)).contiguous()
