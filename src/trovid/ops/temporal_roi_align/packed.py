"""Support maps prepared once: channels last, with the norms that the similarity needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trovid.ops.checks import check_range, is_exporting, is_plain
from trovid.ops.temporal_roi_align.common_basis import is_outdated, most_common_basis
from trovid.ops.temporal_roi_align.cpp import backend as native

SMALLEST_NORM = 1e-12
"""A vector that is not longer than this has no direction: all its cosines are 0."""


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The precision in which similarities and softmax are computed: float32, or float64."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def inverse_norms(rows: Tensor) -> Tensor:
    """1 / length over the last axis, 0 for a vector without direction, NaN for NaN; no gradient."""
    with torch.no_grad():
        norms = torch.linalg.vector_norm(rows.to(compute_dtype(rows.dtype)), dim=-1)
        return torch.where(norms <= SMALLEST_NORM, 0.0, norms.reciprocal())


def _may_be_native(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and not is_exporting()


def _norms_of_cells(rows: Tensor) -> Tensor:
    """The same of rows Tensor[S, P, C]: the same bits from rows and from a view of planes."""
    if not _may_be_native(rows):
        return inverse_norms(rows)
    return (_run_norms if is_plain(rows) else _norms)(rows.detach())


def checked_norms(rows: Tensor) -> Tensor:
    """Tensor[S, P] of the support rows Tensor[S, P, C]; a ValueError where one is too long."""
    norms = _norms_of_cells(rows)
    if not torch.compiler.is_compiling() and not norms.is_meta and bool((norms == 0).any()):
        check_range("support_features", rows, rows.shape[2])  # zero, or too long for a float
    return norms


def _run_norms(rows: Tensor) -> Tensor:
    return inverse_norms(rows) if native.unavailable() else native.inverse_norms(rows)


_norms = torch.library.custom_op(
    "trovid::inverse_norms", _run_norms, mutates_args=(), schema="(Tensor rows) -> Tensor"
)


@_norms.register_fake
def _(rows: Tensor) -> Tensor:
    return rows.new_empty(rows.shape[:2])


@dataclass(frozen=True, eq=False)
class PackedSupport:
    """The support maps of one or several videos in the form that the operator reads.

    Made by `pack_support`; callers treat it as opaque, apart from its sizes, `cat`, `batch`,
    `frames` and `to`. A gradient flows through it to the maps it was made from.

    Attributes:
        rows: Tensor[S, H*W, C]: the maps of all S frames, channels last, video after video.
        inverse_norms: Tensor[S, H*W]: 1 / length of each row, 0 for a row of zero norm.
        size: (H, W).
        lengths: The number of support frames of each video (0 allowed); they sum to S.
        basis: Tensor[B, D, C], for each video directions that hold most of its rows, or None.
        prefixes: Tensor[S, H*W, D], the unit rows as seen in their basis, or None.
    """

    rows: Tensor
    inverse_norms: Tensor
    size: tuple[int, int]
    lengths: tuple[int, ...]
    basis: Tensor | None = None
    prefixes: Tensor | None = None

    @classmethod
    def from_features(
        cls, support_features: Tensor | Sequence[Tensor], planes: bool = False
    ) -> PackedSupport:
        """See `pack_support`; with `planes`, rows may be a view of maps, without norms."""
        if isinstance(support_features, Tensor):
            if support_features.dim() not in (4, 5):
                raise ValueError(
                    "`support_features` must have shape [T, C, H, W] or [B, T, C, H, W], "
                    f"but got {list(support_features.shape)}"
                )
            shape = support_features.shape
            lengths = (shape[0],) if len(shape) == 4 else (shape[1],) * shape[0]
            maps = support_features.reshape(-1, *shape[-3:])
        else:
            videos = list(support_features)
            if not videos:
                raise ValueError("`support_features` must hold one Tensor[T, C, H, W] a video")
            for index, video in enumerate(videos):
                if not isinstance(video, Tensor):
                    raise TypeError(
                        "`support_features` must be a Tensor or hold one a video, but has a "
                        f"{type(video).__name__}"
                    )
                if video.dim() != 4 or video.shape[1:] != videos[0].shape[1:]:
                    raise ValueError(
                        f"`support_features[{index}]` must have shape [T, C, H, W] with the C, H, "
                        f"W of the first video {list(videos[0].shape[1:])}, "
                        f"but got {list(video.shape)}"
                    )
            lengths = tuple(len(video) for video in videos)
            maps = videos[0] if planes and len(videos) == 1 else torch.cat(videos)
        if not maps.is_floating_point():
            raise TypeError(f"`support_features` must be floating point, but got {maps.dtype}")
        height, width = maps.shape[2:]
        rows = maps.flatten(2).transpose(1, 2)
        planes = planes and native.are_planes(rows)
        rows = rows if planes else _rows_of_maps(maps)
        norms = rows.new_empty(len(rows), 0) if planes else checked_norms(rows)
        return cls(rows, norms, (height, width), lengths)

    @staticmethod
    def cat(parts: Sequence[PackedSupport]) -> PackedSupport:
        """The frames of several parts as those of one video, in the order given.

        Where the parts have prefixes, all get those of the basis that the most frames have; where
        that has become bad for the others, those of a new one.
        """
        joined = PackedSupport.batch(parts)
        length = (sum(joined.lengths),)
        if joined.basis is None:
            return PackedSupport(joined.rows, joined.inverse_norms, joined.size, length)
        basis = most_common_basis(joined.basis, joined.lengths)
        prefixes = [part._prefixes_in(basis) for part in parts]
        if is_outdated(parts, prefixes):
            basis, all_prefixes = native.prefixes(
                joined.rows.detach().float(), joined.inverse_norms.float()
            )
        else:
            all_prefixes = torch.cat(prefixes)
        return PackedSupport(
            joined.rows,
            joined.inverse_norms,
            joined.size,
            length,
            basis.unsqueeze(0),
            all_prefixes,
        )

    @staticmethod
    def batch(parts: Sequence[PackedSupport]) -> PackedSupport:
        """Several videos (or batches of videos) side by side."""
        if not parts:
            raise ValueError("`parts` must hold at least one PackedSupport, but is empty")
        for part in parts:
            if part.size != parts[0].size or part.channels != parts[0].channels:
                raise ValueError(
                    f"all parts must have {parts[0].channels} channels on a map of "
                    f"{parts[0].size}, but one has {part.channels} on {part.size}"
                )
        if len(parts) == 1:
            return parts[0]
        bases = [part.basis for part in parts if part.basis is not None]
        prefixes = [part.prefixes for part in parts if part.prefixes is not None]
        kept = len(bases) == len(prefixes) == len(parts)
        return PackedSupport(
            torch.cat([part.rows for part in parts]),
            torch.cat([part.inverse_norms for part in parts]),
            parts[0].size,
            tuple(length for part in parts for length in part.lengths),
            torch.cat(bases) if kept else None,
            torch.cat(prefixes) if kept else None,
        )

    def with_prefixes(self) -> PackedSupport:
        """The same with a basis and prefixes, which save the native backend time in every call.

        Worth it for maps of many cells, as of a pyramid's finest levels, that many target frames
        search. A call that searches in them where it would not without chooses the same cells, but
        for ties in rounding, and rounds their cosines otherwise. Without the native library, and on
        other devices, this is the support itself.
        """
        if self.basis is not None or self.rows.device.type != "cpu" or native.unavailable():
            return self
        rows = self.rows.detach().float().split(self.lengths)
        norms = self.inverse_norms.float().split(self.lengths)
        made = [native.prefixes(*one) for one in zip(rows, norms, strict=True)]
        bases, prefixes = zip(*made, strict=True)
        return replace(self, basis=torch.stack(bases), prefixes=torch.cat(prefixes))

    def _prefixes_in(self, basis: Tensor) -> Tensor:
        """Tensor[S, H*W, D], the unit rows as seen in a basis, made unless it is theirs."""
        if self.prefixes is not None and all(torch.equal(kept, basis) for kept in self._bases()):
            return self.prefixes
        return native.prefixes(self.rows.detach().float(), self.inverse_norms.float(), basis)[1]

    def _bases(self) -> list[Tensor]:
        """The basis of each video that has frames."""
        if self.basis is None:
            return []
        return [basis for basis, length in zip(self.basis, self.lengths, strict=True) if length]

    def frames(self, index: slice | Sequence[int] | Tensor) -> PackedSupport:
        """Some frames of a single video, in the order asked; repeated ones are allowed."""
        if len(self.lengths) != 1:
            raise ValueError(
                f"`frames` chooses from one video, but this holds {len(self.lengths)}: "
                "take one with `videos([i])` first"
            )
        if not isinstance(index, slice | Tensor):
            index = torch.as_tensor(list(index), dtype=torch.long, device=self.rows.device)
        rows = self.rows[index]
        prefixes = None if self.prefixes is None else self.prefixes[index]
        norms = self.inverse_norms[index]
        return PackedSupport(rows, norms, self.size, (len(rows),), self.basis, prefixes)

    def videos(self, index: Sequence[int]) -> PackedSupport:
        """Some videos of a batch, in the order asked."""
        if list(index) == list(range(self.num_videos)):
            return self
        starts = [sum(self.lengths[:i]) for i in range(self.num_videos)]
        parts = []
        for i in index:
            span = slice(starts[i], starts[i] + self.lengths[i])
            basis = None if self.basis is None else self.basis[i : i + 1]
            prefixes = None if self.prefixes is None else self.prefixes[span]
            lengths, norms = (self.lengths[i],), self.inverse_norms[span]
            parts.append(PackedSupport(self.rows[span], norms, self.size, lengths, basis, prefixes))
        return PackedSupport.batch(parts)

    def maps(self) -> Tensor:
        """The support maps of all videos again, Tensor[S, C, H, W], without a copy."""
        return self.rows.unflatten(1, self.size).permute(0, 3, 1, 2)

    def to(self, target: torch.device | str | torch.dtype) -> PackedSupport:
        """The same on another device, or with rows of another dtype, without prefixes."""
        rows = self.rows.to(target)
        same = rows.dtype == self.rows.dtype
        norms = self.inverse_norms.to(rows.device) if same else _norms_of_cells(rows)
        return PackedSupport(rows, norms, self.size, self.lengths)

    def computed_in(self, dtype: torch.dtype) -> PackedSupport:
        """The same with rows and norms in the precision that a call computes in."""
        if self.rows.dtype == dtype and self.inverse_norms.dtype == dtype:
            return self
        return replace(self, rows=self.rows.to(dtype), inverse_norms=self.inverse_norms.to(dtype))

    def detach(self) -> PackedSupport:
        """The same without a graph."""
        return replace(self, rows=self.rows.detach(), inverse_norms=self.inverse_norms.detach())

    @property
    def channels(self) -> int:
        """C."""
        return self.rows.shape[2]

    @property
    def num_frames(self) -> int:
        """S, the number of support frames of all videos."""
        return self.rows.shape[0]

    @property
    def num_videos(self) -> int:
        """B."""
        return len(self.lengths)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        tensors = self.rows, self.inverse_norms, self.basis, self.prefixes
        return sum(tensor.nbytes for tensor in tensors if tensor is not None)


def pack_support(support_features: Tensor | Sequence[Tensor]) -> PackedSupport:
    """Prepare support maps once, to be used for many target frames.

    Args:
        support_features: Tensor[T, C, H, W] of one video, Tensor[B, T, C, H, W] of B videos, or a
            list of B Tensor[T_i, C, H, W] with as many frames (0 too) as each video has.

    Returns:
        What every function of `trovid.ops` takes in place of `support_features`.

    Raises:
        TypeError: If they are no tensors, or not floating point.
        ValueError: If the shapes do not fit.

    Example:
        >>> packed = pack_support(torch.rand(14, 8, 20, 30))
        >>> packed.num_frames, packed.size, packed.nbytes
        (14, (20, 30), 302400)
    """
    return PackedSupport.from_features(support_features)


def check_support(
    support_features: Tensor | Sequence[Tensor] | PackedSupport,
    num_videos: int,
    channels: int,
    planes: bool = False,
) -> PackedSupport:
    """The support maps in packed form, one video for each of `num_videos` target frames.

    Where `planes` may stay so, a single tensor of maps that was not packed is not copied.
    """
    if isinstance(support_features, PackedSupport):
        packed = support_features
        _check_packed(packed)
    else:
        packed = PackedSupport.from_features(support_features, planes)
    if packed.num_videos != num_videos:
        raise ValueError(
            f"`support_features` must hold one video for each of the {num_videos} target frames, "
            f"but holds {packed.num_videos}"
        )
    if packed.channels != channels:
        raise ValueError(
            f"`support_features` must have the {channels} channels of `features`, "
            f"but has {packed.channels}"
        )
    return packed


def _check_packed(packed: PackedSupport) -> None:
    """Its parts belong together: a kernel reads as many norms as there are rows."""
    rows, norms, (height, width) = packed.rows, packed.inverse_norms, packed.size
    shape = (sum(packed.lengths), height * width)
    lowest = min(height, width, *packed.lengths)
    if rows.dim() != 3 or rows.shape[:2] != shape or lowest < 0:
        raise ValueError(
            f"a PackedSupport of lengths {packed.lengths} on maps of {packed.size} must have rows "
            f"of shape {[*shape, 'C']}, but has {list(rows.shape)}"
        )
    if norms.shape != rows.shape[:2] or norms.device != rows.device:
        raise ValueError(
            f"`inverse_norms` of a PackedSupport must have shape {list(rows.shape[:2])} on "
            f"{rows.device}, but have {list(norms.shape)} on {norms.device}"
        )


def _rows_of_maps(maps: Tensor) -> Tensor:
    """Tensor[S, C, H, W] to a contiguous Tensor[S, H * W, C]; no copy of a channels-last map."""
    rows = maps.flatten(2).transpose(1, 2)
    if rows.is_contiguous():
        return rows
    if _may_be_native(maps):
        matrices = maps.flatten(2)
        return _run_transpose(matrices) if is_plain(matrices) else _transpose(matrices)
    return rows.contiguous()


def _run_transpose(matrices: Tensor) -> Tensor:
    if native.unavailable():
        return matrices.transpose(1, 2).clone(memory_format=torch.contiguous_format)
    return native.transpose(matrices)


_transpose = torch.library.custom_op(
    "trovid::transpose",
    _run_transpose,
    mutates_args=(),
    schema="(Tensor matrices) -> Tensor",
)


@_transpose.register_fake
def _(matrices: Tensor) -> Tensor:
    return matrices.new_empty(matrices.shape[0], matrices.shape[2], matrices.shape[1])


def _gradient(ctx: Any, grad: Tensor) -> Tensor:
    return grad.transpose(1, 2)


_transpose.register_autograd(_gradient)
