"""The input of one training step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """One step's input: some frames of each of B clips.

    Attributes:
        images: Tensor[B * (T + 1), 3, H, W], clip after clip, in each clip targets first.
        frame_indices: For each clip the indices of its T + 1 frames in the video; negative ones
            stand for copies of the target in a video that has no other frame.
        targets_per_clip: How many of them are target frames: 1, or all T + 1.
        targets: For each target frame `boxes` Tensor[N, 4] and `labels` Tensor[N]; where crowds or
            ignored objects are there, `ignored` Tensor[M, 4]: their boxes.
        image_sizes: Height and width of each image before padding; None where there is none.
    """

    images: Tensor
    frame_indices: list[list[int]]
    targets_per_clip: int
    targets: list[dict[str, Tensor]]
    image_sizes: list[tuple[int, int]] | None = None

    @property
    def target_positions(self) -> list[int]:
        """Where in `images` the target frames are, in the order of `targets`."""
        frames = len(self.frame_indices[0])
        clips = range(len(self.frame_indices))
        return [clip * frames + i for clip in clips for i in range(self.targets_per_clip)]
