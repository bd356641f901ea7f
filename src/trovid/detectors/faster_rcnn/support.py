"""Support: everything that depends on support frames alone, computed once a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trovid.nn.box_head import SupportEmbedding
from trovid.ops import PackedSupport, pack_support

if TYPE_CHECKING:
    from trovid.detectors.faster_rcnn.detector import Detector

_LARGE_MAP = 4096
"""Cells from which on support maps keep prefixes for the operator."""


@dataclass(frozen=True, eq=False)
class Support:
    """The support frames of one video as the detector needs them.

    A bank is made by `Detector.encode`, is never changed, and belongs to whoever runs the
    video; the model holds none. Its size is bounded by the number of support frames.

    Attributes:
        frame_indices: Index in the video of each support frame, T of them.
        maps: For each level the prepared support maps, or nothing where the detector does not
            search them.
        proposals: For each support frame Tensor[P_t, 4], or nothing without SELSA.
        embedding: For each FC layer keys and values of all support proposals, frame after frame
            (SELSA), or nothing.
        found: For each support frame Tensor[N_t, 5], boxes with scores that are looked at in target
            frames too, or nothing.
    """

    frame_indices: tuple[int, ...]
    maps: dict[str, PackedSupport]
    proposals: tuple[Tensor, ...]
    embedding: SupportEmbedding
    found: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.frame_indices)

    @property
    def nbytes(self) -> int:
        """Size of all tensors in bytes."""
        tensors = [*self.proposals, *self.found, *(t for pair in self.embedding for t in pair)]
        unpacked = sum(t.numel() * t.element_size() for t in tensors)
        return unpacked + sum(packed.nbytes for packed in self.maps.values())

    def select(self, positions: Sequence[int]) -> Support:
        """The bank of some of its frames, by position in `frame_indices`."""
        index = list(positions)
        rows = _rows([len(p) for p in self.proposals], index)
        return Support(
            frame_indices=tuple(self.frame_indices[i] for i in index),
            maps={name: packed.frames(index) for name, packed in self.maps.items()},
            proposals=tuple(self.proposals[i] for i in index) if self.proposals else (),
            embedding=[(k[rows], v[rows]) for k, v in self.embedding],
            found=tuple(self.found[i] for i in index) if self.found else (),
        )

    def without(self, frame_index: int) -> Support:
        """The bank without a frame of the video (itself where that frame is not in it)."""
        if frame_index not in self.frame_indices:
            return self
        return self.select([i for i, f in enumerate(self.frame_indices) if f != frame_index])

    @staticmethod
    def cat(parts: Sequence[Support]) -> Support:
        """The frames of several banks of one video as one bank, in the order given."""
        first = parts[0]
        layers = range(len(first.embedding))
        return Support(
            frame_indices=tuple(i for part in parts for i in part.frame_indices),
            maps={name: PackedSupport.cat([p.maps[name] for p in parts]) for name in first.maps},
            proposals=tuple(boxes for part in parts for boxes in part.proposals),
            embedding=[
                (
                    torch.cat([part.embedding[i][0] for part in parts]),
                    torch.cat([part.embedding[i][1] for part in parts]),
                )
                for i in layers
            ],
            found=tuple(boxes for part in parts for boxes in part.found),
        )


def packed_maps(maps: Tensor, *, prefixes: bool) -> PackedSupport:
    """Support maps as the operator reads them, ready for many target frames where that pays.

    Args:
        maps: Tensor[T, C, H, W].
        prefixes: Whether who reads them uses prefixes.
    """
    packed = pack_support(maps)
    large = prefixes and maps.shape[2] * maps.shape[3] >= _LARGE_MAP
    return packed.with_prefixes() if large and not torch.is_grad_enabled() else packed


def of_videos(frames: Sequence[Tensor], counts: Sequence[int]) -> list[tuple[Tensor, ...]]:
    """What belongs to each frame, by the videos of so many frames each."""
    rest = iter(frames)
    return [tuple(islice(rest, count)) for count in counts]


def supports_of_videos(
    frame_indices: Sequence[Sequence[int]],
    maps: dict[str, list[PackedSupport]],
    proposals: Sequence[tuple[Tensor, ...]],
    embeddings: Sequence[SupportEmbedding],
    found: Sequence[tuple[Tensor, ...]],
) -> list[Support]:
    """The Support of each video, from each of its fields for all of them; `maps` for each level."""
    return [
        Support(
            frame_indices=tuple(indices),
            maps={name: videos[i] for name, videos in maps.items()},
            proposals=proposals[i],
            embedding=embeddings[i],
            found=found[i],
        )
        for i, indices in enumerate(frame_indices)
    ]


def embeddings_of_videos(
    layers: Sequence[tuple[Tensor, Tensor]], proposals: Sequence[tuple[Tensor, ...]]
) -> list[SupportEmbedding]:
    """The keys and values of each layer, Tensor[sum P, D], by the videos of these proposals."""
    counts = [sum(boxes.shape[0] for boxes in video) for video in proposals]
    by_layer = [zip(k.split(counts), v.split(counts), strict=True) for k, v in layers]
    return [list(pairs) for pairs in zip(*by_layer, strict=True)]


def _rows(counts: Sequence[int], positions: Sequence[int]) -> Tensor:
    starts = [sum(counts[:i]) for i in range(len(counts))]
    ranges = [torch.arange(starts[i], starts[i] + counts[i]) for i in positions if counts]
    return torch.cat(ranges) if ranges else torch.empty(0, dtype=torch.long)


def supports_of(
    detector: Detector,
    features: dict[str, Tensor],
    proposals: list[Tensor] | None,
    image_sizes: list[tuple[int, int]],
    frame_indices: Sequence[Sequence[int]],
) -> list[Support]:
    """The Support of each video, for a detector.

    Args:
        detector: Whose parts read it.
        features: The levels of the frames of all videos, Tensor[sum T, ...] each.
        proposals: Tensor[P_t, 4] of each frame, or None where none are needed.
        image_sizes: (height, width) of each frame before padding.
        frame_indices: Those of each video.
    """
    counts = [len(indices) for indices in frame_indices]
    prefixes = detector.roi_features.extractor.uses_prefixes
    maps = {
        name: [packed_maps(video, prefixes=prefixes) for video in features[name].split(counts)]
        for name in detector.searched_levels
    }
    kept: list[tuple[Tensor, ...]] = [() for _ in counts]
    embeddings = [[] for _ in counts]
    found = kept
    if detector.support_roi_features is not None and proposals is not None:
        rois = detector.support_roi_features(features, proposals, image_sizes)
        kept = of_videos(proposals, counts)
        embeddings = embeddings_of_videos(detector.box_head.embed_support(rois), kept)
    if detector.support_proposals and not detector.training and proposals is not None:
        found = of_videos(detector.found_alone(features, proposals, image_sizes), counts)
    return supports_of_videos(frame_indices, maps, kept, embeddings, found)
