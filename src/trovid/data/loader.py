"""Training clips: frames decoded and resized once, then read at random."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trovid.data.coco_vid import VideoLabels
from trovid.data.sampling import training_support
from trovid.data.transforms import FrameTransform, permute_colours
from trovid.data.video_io import open_video
from trovid.files import replacing


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """One step's input: some frames of each of B clips.

    Attributes:
        images: Tensor[B * (T + 1), 3, H, W], clip after clip, in each clip targets first.
        frame_indices: For each clip the indices of its T + 1 frames in the video.
        targets_per_clip: How many of them are target frames: 1, or all T + 1.
        targets: For each target frame `boxes` Tensor[N, 4] and `labels` Tensor[N].
    """

    images: Tensor
    frame_indices: list[list[int]]
    targets_per_clip: int
    targets: list[dict[str, Tensor]]

    @property
    def target_positions(self) -> list[int]:
        """Where in `images` the target frames are, in the order of `targets`."""
        frames = len(self.frame_indices[0])
        clips = range(len(self.frame_indices))
        return [clip * frames + i for clip in clips for i in range(self.targets_per_clip)]


class TrainingClips:
    """The labelled clips of a data set as resized frames in a cache folder.

    Args:
        labels: The labelled videos.
        transform: Resizing and normalisation.
        cache: Folder for the resized frames, one array a video, each written atomically.
        progress: Called with (videos done, videos in all) while the cache is filled.
    """

    def __init__(
        self,
        labels: VideoLabels,
        transform: FrameTransform,
        *,
        cache: Path,
        videos: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.labels = labels
        self.transform = transform
        self.videos = labels.videos[:videos]
        self.folder = cache / _fingerprint(labels, transform)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.truth = [labels.ground_truth(video.name) for video in self.videos]
        for done, video in enumerate(self.videos, 1):
            self._fill(video.name)
            if progress:
                progress(done, len(self.videos))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _fill(self, name: str) -> None:
        file = self._file(name)
        if file.exists():
            return
        video = next(v for v in self.videos if v.name == name)
        with open_video(self.labels.path(video)) as reader:
            frames = np.stack([self.transform.resize(frame.image) for frame in reader])
        with replacing(file) as partial:
            np.save(partial, frames)

    def batch(
        self,
        size: int,
        support_frames: int,
        *,
        seed: Sequence[int],
        window: int | None = None,
        mutual: bool = False,
        colours: bool = True,
    ) -> TrainingBatch:
        """A random target frame of each of some random clips, with support frames of its own clip.

        Args:
            size: Number B of clips.
            support_frames: Number T of support frames of each.
            seed: The batch depends on this alone (seed of the training, step), so that a resumed
                training sees what an uninterrupted one sees.
            window: See `training_support`.
            mutual: Whether the support frames are target frames too.
            colours: Whether colours are exchanged and inverted, alike within a clip.
        """
        rng = random.Random(":".join(map(str, seed)))
        numpy_rng = np.random.RandomState(rng.getrandbits(32))
        per_clip = support_frames + 1 if mutual else 1
        images, indices, targets = [], [], []
        for _ in range(size):
            index = rng.randrange(len(self.videos))
            frames = np.load(self._file(self.videos[index].name), mmap_mode="r")
            target = rng.randrange(len(frames))
            support = training_support(len(frames), target, support_frames, window=window, rng=rng)
            chosen = [target, *support]
            clip = self.transform.normalise([frames[i] for i in chosen])
            images.append(permute_colours(clip, numpy_rng) if colours else clip)
            indices.append(chosen)
            targets += [self._target(index, i, frames.shape[1:3]) for i in chosen[:per_clip]]
        return TrainingBatch(torch.cat(images), indices, per_clip, targets)

    def _target(self, video: int, frame: int, size: tuple[int, int]) -> dict[str, Tensor]:
        """Boxes in pixels of the resized frame, and labels."""
        truth = self.truth[video][frame]
        scale = torch.tensor(size) / torch.tensor(truth.image_size)
        return {"boxes": truth.boxes * scale.flip(0).repeat(2), "labels": truth.labels}


def _fingerprint(labels: VideoLabels, transform: FrameTransform) -> str:
    text = f"{labels.raw['info']}{len(labels.videos)}{transform}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
