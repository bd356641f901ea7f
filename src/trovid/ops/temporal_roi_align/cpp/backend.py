"""The native backend: trovid's own C++ kernels for float32 on the CPU (see docs/operator.md)."""

from __future__ import annotations

import threading
from ctypes import CDLL, addressof, byref, c_int64, c_void_p
from typing import Any

import torch
from torch import Tensor

from trovid.ops.temporal_roi_align.cpp import library
from trovid.ops.temporal_roi_align.problem import TENSORS, Gradients, Problem, Selection


class _LastSearch(threading.local):
    """How the last forward pass on this thread searched (its last video).

    Attributes:
        directions: Of the prefixes that it searched in; 0 for all channels.
        share: The share of pairs of position and cell that it compared in all channels.
    """

    directions: int = 0
    share: float = 1.0


last_search = _LastSearch()


def unavailable() -> str | None:
    """Why the backend cannot be used, in one line; None where it can."""
    loaded = library.load()
    return loaded if isinstance(loaded, str) else None


def accepts(tensor: Tensor) -> bool:
    """Whether the backend computes on tensors such as this one."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32


def isa() -> str:
    """The instruction set in use, by its name in `hatch_build.instruction_sets`."""
    return _loaded().trovid_isa().decode()


def forward(problem: Problem, keep: bool) -> tuple[Tensor, Selection | None] | None:
    """See `backends`; None where a value is out of the range that the kernels handle."""
    channels, grid = problem.features.shape[1], problem.output_size
    output = problem.features.new_empty(len(problem.rois), channels, *grid)
    sets = output.new_empty(len(output), *grid, channels) if keep else None
    scores = output.new_zeros(max(problem.lengths), output[:, 0].numel(), problem.top_k)
    indices = torch.zeros(scores.shape, dtype=torch.int32)
    report = library.CReport()
    if not _run("trovid_forward", problem, output, sets, scores, indices, report=report):
        return None
    last_search.directions, last_search.share = report.directions, report.share
    return output, None if sets is None else Selection(sets, scores, indices)


def backward(problem: Problem, selection: Selection, grad_output: Tensor) -> Gradients | None:
    """See `backends`; None where a value is out of the range that the kernels handle."""
    batch, channels, height, width = problem.features.shape
    features = problem.features.new_empty(batch, height, width, channels)
    inputs = (tensor.contiguous() for tensor in (*selection, grad_output))
    others: list[Any] = [
        None if t is None else torch.empty_like(t, memory_format=torch.contiguous_format)
        for t in problem[1 : len(Gradients._fields)]
    ]
    if not _run("trovid_backward", problem, *inputs, features, *others):
        return None
    return Gradients(features.permute(0, 3, 1, 2), *others)


def select(
    positions: Tensor, rows: Tensor, inverse_norms: Tensor, top_k: int
) -> tuple[Tensor, Tensor] | None:
    """Eq. 2 for the support frames of one video.

    Args:
        positions: Tensor[M, C].
        rows: Tensor[T, P, C].
        inverse_norms: Tensor[T, P].
        top_k: K.

    Returns:
        scores Tensor[T, M, K] and indices Tensor[T, M, K] (int32); None where a value is out of
        the range that the kernels handle.
    """
    scores = positions.new_empty(len(rows), len(positions), top_k)
    indices = torch.empty(scores.shape, dtype=torch.int32)
    positions, rows, inverse_norms = (t.contiguous() for t in (positions, rows, inverse_norms))
    done = _done(
        _loaded().trovid_select(
            _pointer(positions),
            c_int64(len(positions)),
            _pointer(rows),
            _pointer(inverse_norms),
            *map(c_int64, (*rows.shape, top_k, torch.get_num_threads())),
            _pointer(scores),
            _pointer(indices),
        )
    )
    return (scores, indices) if done else None


def prefixes(
    rows: Tensor, inverse_norms: Tensor, basis: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A basis for support maps, or a given one, and the maps' cells as seen in it.

    Args:
        rows: Tensor[S, P, C].
        inverse_norms: Tensor[S, P].
        basis: Tensor[D, C].

    Returns:
        basis Tensor[D, C] and prefixes Tensor[S, P, D].
    """
    rows, inverse_norms = rows.contiguous(), inverse_norms.contiguous()
    frames, cells, channels = rows.shape
    made = rows.new_empty(directions_of(channels), channels) if basis is None else basis
    found = rows.new_empty(frames, cells, len(made))
    _done(
        _loaded().trovid_prefixes(
            _pointer(rows),
            _pointer(inverse_norms),
            *map(c_int64, (frames * cells, channels, basis is not None, torch.get_num_threads())),
            _pointer(made),
            _pointer(found),
        )
    )
    return made, found


def inverse_norms(rows: Tensor) -> Tensor:
    """1 / length of the cells Tensor[S, P, C], which may be a view of planes: Tensor[S, P]."""
    frames, cells, channels = rows.shape
    rows = rows if are_planes(rows) else rows.contiguous()
    result = rows.new_empty(frames, cells)
    sizes = (frames, channels, cells, are_planes(rows), torch.get_num_threads())
    _done(_loaded().trovid_inverse_norms(_pointer(rows), *map(c_int64, sizes), _pointer(result)))
    return result


def directions_of(channels: int) -> int:
    """D of a basis, as in trovid.h."""
    return (channels + 31) // 32 * 8


def are_planes(rows: Tensor) -> bool:
    """Whether rows Tensor[S, P, C] are a view of maps whose channels lie apart."""
    return not rows.is_contiguous() and rows.transpose(1, 2).is_contiguous()


def transpose(matrices: Tensor) -> Tensor:
    """Tensor[S, M, N] to a contiguous Tensor[S, N, M]."""
    matrices = matrices.contiguous()
    count, rows, columns = matrices.shape
    result = matrices.new_empty(count, columns, rows)
    sizes = map(c_int64, (count, rows, columns, torch.get_num_threads()))
    _done(_loaded().trovid_transpose(_pointer(matrices), *sizes, _pointer(result)))
    return result


def _run(
    name: str, problem: Problem, *tensors: Tensor | None, report: library.CReport | None = None
) -> bool:
    """Calls a function of the library on a problem; whether all values were in its range."""
    channels = problem.features.shape[1]
    features = problem.features.flatten(2).transpose(1, 2)
    if not features.is_contiguous():
        features = transpose(problem.features.flatten(2))
    planes = name == "trovid_forward" and are_planes(problem.rows)
    rows = problem.rows if planes else problem.rows.contiguous()
    others: tuple[Any, ...] = problem[2 : len(TENSORS)]
    held = (features, rows, *(None if t is None else t.contiguous() for t in others))
    lengths = (c_int64 * len(problem.lengths))(*problem.lengths)
    described = library.CProblem(
        *problem.features.shape,
        problem.rows.shape[1],
        problem.map_width,
        problem.square,
        problem.squares,
        len(problem.rois),
        *problem.output_size,
        problem.top_k,
        problem.num_heads,
        problem.weight is not None and problem.weight.shape[1] == channels,
        problem.sampling_ratio,
        problem.aligned,
        torch.get_num_threads(),
        0 if problem.basis is None else problem.basis.shape[1],
        planes,
        problem.spatial_scale,
        problem.logit_scale,
        *map(_pointer, held),
        addressof(lengths),
    )
    reports = () if report is None else (byref(report),)
    return _done(getattr(_loaded(), name)(byref(described), *map(_pointer, tensors), *reports))


def _loaded() -> CDLL:
    loaded = library.load()
    if isinstance(loaded, str):
        raise RuntimeError(f"the native backend is not available: {loaded}")
    return loaded


def _pointer(tensor: Tensor | None) -> c_void_p:
    """Where a contiguous tensor lies; null for None."""
    return c_void_p(None if tensor is None else tensor.data_ptr())


def _done(code: int) -> bool:
    """Whether all values were in the library's range; raises what else its code says."""
    if code == library.NO_MEMORY:
        raise MemoryError("out of memory in temporal_roi_align: use fewer boxes or support frames")
    if code not in (library.OK, library.OUT_OF_RANGE):
        reason = _loaded().trovid_error().decode(errors="replace")
        raise RuntimeError(f"the native library failed in temporal_roi_align: {reason}")
    return code == library.OK
