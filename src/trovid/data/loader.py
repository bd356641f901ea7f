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
    """One step's input.

    Attributes:
        images: Tensor[B, 3, H, W] of target frames.
        support_images: Tensor[B * T, 3, H, W], the support frames of the first target first.
        targets: For each target frame `boxes` Tensor[N, 4] and `labels` Tensor[N].
        support_indices: For each target the frame indices of its support frames.
    """

    images: Tensor
    support_images: Tensor
    targets: list[dict[str, Tensor]]
    support_indices: list[list[int]]


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
        colours: bool = True,
    ) -> TrainingBatch:
        """Random target frames of random clips, each with support frames of its own clip.

        Args:
            size: Number B of target frames.
            support_frames: Number T of support frames of each.
            seed: The batch depends on this alone (seed of the training, step), so that a resumed
                training sees what an uninterrupted one sees.
            window: See `training_support`.
            colours: Whether colours are exchanged and inverted, alike within a clip.
        """
        rng = random.Random(":".join(map(str, seed)))
        numpy_rng = np.random.RandomState(rng.getrandbits(32))
        targets, images, supports, indices = [], [], [], []
        for _ in range(size):
            index = rng.randrange(len(self.videos))
            frames = np.load(self._file(self.videos[index].name), mmap_mode="r")
            target = rng.randrange(len(frames))
            support = (
                training_support(len(frames), target, support_frames, window=window, rng=rng)
                if support_frames
                else []
            )
            clip = self.transform.normalise([frames[i] for i in (target, *support)])
            if colours:
                clip = permute_colours(clip, numpy_rng)
            images.append(clip[:1])
            supports.append(clip[1:])
            indices.append(support)
            truth = self.truth[index][target]
            scale = frames.shape[1] / truth.image_size[0], frames.shape[2] / truth.image_size[1]
            factor = torch.tensor([scale[1], scale[0], scale[1], scale[0]])
            targets.append({"boxes": truth.boxes * factor, "labels": truth.labels})
        return TrainingBatch(torch.cat(images), torch.cat(supports), targets, indices)


def _fingerprint(labels: VideoLabels, transform: FrameTransform) -> str:
    text = f"{labels.raw['info']}{len(labels.videos)}{transform}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
