"""The input of one training step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """One step's input: some frames of each of B clips.

    Attributes:
        images: Tensor[B * (T + 1), 3, H, W], clip after clip, in each clip targets first.
        frame_indices: For each clip the indices of its T + 1 frames in the video; negative ones
            stand for copies of the target in a video that has no other frame.
        targets_per_clip: How many of them are target frames: 1, or all T + 1.
        targets: For each target frame `boxes` Tensor[N, 4], `labels` Tensor[N], `instance_ids`
            Tensor[N] and, where masks are trained, `masks` Tensor[N, H, W] of bool; where crowds
            or ignored objects are there, `ignored` Tensor[M, 4]: their boxes.
        image_sizes: Height and width of each image before padding; None where there is none.
        references: For each target frame the place in `images` of another frame of its clip, whose
            objects its own are matched with; empty where none are.
        reference_targets: For each of these frames `boxes` and `instance_ids`.
    """

    images: Tensor
    frame_indices: list[list[int]]
    targets_per_clip: int
    targets: list[dict[str, Tensor]]
    image_sizes: list[tuple[int, int]] | None = None
    references: list[int] = field(default_factory=list)
    reference_targets: list[dict[str, Tensor]] = field(default_factory=list)

    @property
    def target_positions(self) -> list[int]:
        """Where in `images` the target frames are, in the order of `targets`."""
        frames = len(self.frame_indices[0])
        clips = range(len(self.frame_indices))
        return [clip * frames + i for clip in clips for i in range(self.targets_per_clip)]

    @property
    def target_sizes(self) -> list[tuple[int, int]]:
        """Height and width of each target frame before padding."""
        height, width = self.images.shape[-2:]
        sizes = self.image_sizes or [(height, width)] * len(self.images)
        return [sizes[place] for place in self.target_positions]

    def targets_and_references(self) -> Iterator[tuple[int, int, int]]:
        """For each target frame its clip, its index and its reference frame's index in the video.

        A reference frame that is a target frame too supports the others, as every target frame
        does: the target frame's own index stands for it then.
        """
        frames = len(self.frame_indices[0])
        for number, place in enumerate(self.target_positions):
            clip, position = divmod(place, frames)
            other = self.references[number] % frames if self.references else position
            other = position if other < self.targets_per_clip else other
            yield clip, self.frame_indices[clip][position], self.frame_indices[clip][other]
