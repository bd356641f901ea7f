"""The clips of a step as they were drawn, on their way to a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from trovid.structures import TrainingBatch
from trovid.video.transforms import FrameTransform, permute_colours

_OF_TARGETS = (
    *("boxes", "labels", "instance_ids", "ignored", "seeds"),
    *("reference_boxes", "reference_ids"),
)


@dataclass(frozen=True, eq=False)
class DrawnClips:
    """The clips of a step before normalisation: small enough to come from another process.

    Attributes:
        frames: For each clip its frames [T + 1, height, width, 3], resized and maybe mirrored.
        frame_indices: See TrainingBatch.
        targets_per_clip: See TrainingBatch.
        boxes: For each target frame [N, 4], in pixels of the resized frame.
        labels: For each target frame [N].
        instance_ids: For each target frame [N].
        colours: Source of chance for the exchange of colours; None for none.
        masks: For each target frame bool [N, height, width] of the resized frame; None for none.
        references: See TrainingBatch.
        reference_boxes: Of each reference frame [N, 4].
        reference_ids: Of each reference frame [N].
        videos: For each clip the name of its video.
        ignored: For each target frame [M, 4], boxes of crowds and ignored objects.
        seeds: For each target frame a number of its own; () where all draw from one source.
    """

    frames: list[np.ndarray]
    frame_indices: list[list[int]]
    targets_per_clip: int
    boxes: list[NDArray[np.float32]]
    labels: list[NDArray[np.int64]]
    instance_ids: list[NDArray[np.int64]]
    colours: np.random.RandomState | None
    masks: list[NDArray[np.bool_]] | None = None
    references: list[int] = field(default_factory=list)
    reference_boxes: list[NDArray[np.float32]] = field(default_factory=list)
    reference_ids: list[NDArray[np.int64]] = field(default_factory=list)
    videos: Sequence[str] = ()
    ignored: list[NDArray[np.float32]] = field(default_factory=list)
    seeds: Sequence[int] = ()

    def parts(self, count: int) -> list[DrawnClips]:
        """The clips in so many runs, which are to become batches in this order."""
        clips = len(self.frames)
        return [self._run(k * clips // count, (k + 1) * clips // count) for k in range(count)]

    def _run(self, first: int, end: int) -> DrawnClips:
        targets = slice(first * self.targets_per_clip, end * self.targets_per_clip)
        before = sum(map(len, self.frames[:first]))
        return replace(
            self,
            frames=self.frames[first:end],
            frame_indices=self.frame_indices[first:end],
            videos=self.videos[first:end],
            masks=None if self.masks is None else self.masks[targets],
            references=[place - before for place in self.references[targets]],
            **{name: getattr(self, name)[targets] for name in _OF_TARGETS},
        )

    def batch(self, transform: FrameTransform, device: torch.device | str = "cpu") -> TrainingBatch:
        """Normalised on a device; frames of different sizes are padded to the largest."""
        columns = {"boxes": self.boxes, "labels": self.labels, "instance_ids": self.instance_ids}
        targets = _rows(columns, device)
        for target, ignored in zip(targets, self.ignored, strict=False):
            if len(ignored):
                target["ignored"] = torch.from_numpy(ignored).to(device)
        for target, seed in zip(targets, self.seeds, strict=False):
            target["seed"] = torch.tensor(seed)
        images = self._images(transform, device)
        for target, masks in zip(targets, self.masks or (), strict=self.masks is not None):
            height, width = images.shape[2] - masks.shape[1], images.shape[3] - masks.shape[2]
            target["masks"] = F.pad(torch.from_numpy(masks).to(device), (0, width, 0, height))
        known = {"boxes": self.reference_boxes, "instance_ids": self.reference_ids}
        return TrainingBatch(
            images,
            self.frame_indices,
            self.targets_per_clip,
            targets,
            [frames.shape[1:3] for frames in self.frames for _ in frames],
            self.references,
            _rows(known, device),
        )

    def _images(self, transform: FrameTransform, device: torch.device | str) -> Tensor:
        """All frames in one tensor, filled frame by frame; zeros on the right and below."""
        sides = [
            [-(-side // transform.divisor) * transform.divisor for side in frames.shape[1:3]]
            for frames in self.frames
        ]
        height, width = map(max, zip(*sides, strict=True))
        shape = (sum(map(len, self.frames)), 3, height, width)
        images = torch.empty(shape, device=device, memory_format=torch.channels_last).zero_()
        parts = images.split([len(frames) for frames in self.frames])
        for frames, (own_height, own_width), part in zip(self.frames, sides, parts, strict=True):
            clip = part[..., :own_height, :own_width]
            for place, frame in zip(clip, frames, strict=True):
                place.copy_(transform.normalise([frame], device)[0])
            if self.colours is not None:
                clip.copy_(permute_colours(clip, self.colours))
        return images


def _rows(
    columns: Mapping[str, Sequence[NDArray[Any]]], device: torch.device | str
) -> list[dict[str, Tensor]]:
    """One dict a frame of columns that hold an array for each frame."""
    return [
        {name: torch.from_numpy(part).to(device) for name, part in zip(columns, row, strict=True)}
        for row in zip(*columns.values(), strict=True)
    ]
