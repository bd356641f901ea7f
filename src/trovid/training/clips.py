"""Training clips: which frames a step takes, and what is to be found in them."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trovid.datasets.contract import Dataset
from trovid.errors import TrovidError
from trovid.recipes import TrainingRecipe
from trovid.structures import TrainingBatch, Video
from trovid.training.frames import ResizedFrames
from trovid.training.identity import dataset_digest
from trovid.training.support_frames import training_support
from trovid.video.transforms import FrameTransform, permute_colours, skip_colours


@dataclass(frozen=True, eq=False)
class DrawnClips:
    """The clips of a step before normalisation: small enough to come from another process.

    Attributes:
        frames: For each clip its frames [T + 1, height, width, 3], resized and maybe mirrored.
        frame_indices: See TrainingBatch.
        targets_per_clip: See TrainingBatch.
        boxes: For each target frame [N, 4], in pixels of the resized frame.
        labels: For each target frame [N].
        colours: Source of chance for the exchange of colours; None for none.
        videos: For each clip the name of its video.
        ignored: For each target frame [M, 4], boxes of crowds and ignored objects.
        seeds: For each target frame a number of its own; () where all draw from one source.
    """

    frames: list[np.ndarray]
    frame_indices: list[list[int]]
    targets_per_clip: int
    boxes: list[NDArray[np.float32]]
    labels: list[NDArray[np.int64]]
    colours: np.random.RandomState | None
    videos: tuple[str, ...] = ()
    ignored: tuple[NDArray[np.float32], ...] = ()
    seeds: tuple[int, ...] = ()

    def parts(self, count: int) -> list[DrawnClips]:
        """The clips in so many runs, which are to become batches in this order."""
        clips, per = len(self.frames), self.targets_per_clip
        runs = [(k * clips // count, (k + 1) * clips // count) for k in range(count)]
        return [
            replace(
                self,
                frames=self.frames[first:end],
                frame_indices=self.frame_indices[first:end],
                boxes=self.boxes[first * per : end * per],
                labels=self.labels[first * per : end * per],
                videos=self.videos[first:end],
                ignored=self.ignored[first * per : end * per],
                seeds=self.seeds[first * per : end * per],
            )
            for first, end in runs
        ]

    def batch(self, transform: FrameTransform, device: torch.device | str = "cpu") -> TrainingBatch:
        """Normalised on a device; frames of different sizes are padded to the largest."""
        targets = [
            {
                "boxes": torch.from_numpy(boxes).to(device),
                "labels": torch.from_numpy(labels).to(device),
            }
            for boxes, labels in zip(self.boxes, self.labels, strict=True)
        ]
        for target, ignored in zip(targets, self.ignored, strict=False):
            if len(ignored):
                target["ignored"] = torch.from_numpy(ignored).to(device)
        for target, seed in zip(targets, self.seeds, strict=False):
            target["seed"] = torch.tensor(seed)
        sizes = [frames.shape[1:3] for frames in self.frames for _ in frames]
        images = self._images(transform, device)
        return TrainingBatch(images, self.frame_indices, self.targets_per_clip, targets, sizes)

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


class TrainingClips:
    """The labelled clips of a data set.

    Args:
        dataset: The labelled videos.
        transform: Resizing and normalisation.
        cache: Folder for the resized frames (`ResizedFrames`).
        videos: How many of the videos are used; None for all.
        room: Bytes that the cache may take (`ResizedFrames`).
        progress: Called with (videos done, videos in all) while the cache is filled.

    Attributes:
        digest: Another one for other data (`dataset_digest`).

    Raises:
        TrovidError: If no video has a labelled frame, or one cannot be read.
    """

    def __init__(
        self,
        dataset: Dataset,
        transform: FrameTransform,
        *,
        cache: Path,
        videos: int | None = None,
        room: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        chosen = dataset.videos[:videos]
        self.videos = [video for video in chosen if len(dataset.labelled_frames(video.name))]
        if not self.videos:
            raise TrovidError("no video of the training data has a labelled frame")
        names = [video.name for video in self.videos]
        self.ends = list(itertools.accumulate(len(dataset.labelled_frames(n)) for n in names))
        self.digest = dataset_digest(dataset, names)
        self.frames = ResizedFrames(
            dataset, names, transform, cache=cache, room=room, progress=progress
        )

    def draw(
        self, settings: TrainingRecipe, *, seed: int, step: int, share: range | None = None
    ) -> DrawnClips:
        """Random clips, of each a random target frame and support frames.

        Args:
            settings: Say how many clips and support frames, and how they are drawn.
            seed: Of the training.
            step: The draw depends on seed and step alone, so that a resumed training sees what an
                uninterrupted one sees.
            share: Numbers of the clips wanted, of all those of the step; None for all. A clip is
                the same whoever asks for it.

        """
        rng = random.Random(f"{seed}:{step}")
        colours = np.random.RandomState(rng.getrandbits(32))
        per_clip = settings.support_frames + 1 if settings.mutual_support else 1
        frames, indices, boxes, labels, names, ignored = [], [], [], [], [], []
        wanted = range(settings.batch) if share is None else share
        for number in range(settings.batch):
            video, target = self._draw_target(settings.draw, rng)
            support = self._draw_support(video, target, settings, rng)
            chosen = [target, *support]
            mirrored = settings.flip > 0 and rng.random() < settings.flip
            if number not in wanted:
                if number < wanted.start:
                    skip_colours(colours)
                continue
            clip = self.frames.read(video.name, chosen)
            names.append(video.name)
            frames.append(np.ascontiguousarray(clip[:, :, ::-1]) if mirrored else clip)
            indices.append([target, *(~n if i == target else i for n, i in enumerate(support))])
            size = (clip.shape[1], clip.shape[2])
            for truth in self.dataset.ground_truth(video.name, frames=chosen[:per_clip]):
                scale = torch.tensor(size) / torch.tensor(truth.image_size)
                every = truth.boxes * scale.flip(0).repeat(2)
                if mirrored:
                    every[:, [0, 2]] = size[1] - every[:, [2, 0]]
                boxes.append(every[truth.counted].numpy())
                labels.append(truth.labels[truth.counted].numpy())
                ignored.append(every[~truth.counted].numpy())
        source = colours if settings.colour_augmentation else None
        first = wanted.start * per_clip
        seeds = [_number(seed, step, first + k) for k in range(len(boxes))]
        own_seeds = tuple(seeds) if settings.random == "clip" else ()
        apart = (tuple(names), tuple(ignored), own_seeds)
        return DrawnClips(frames, indices, per_clip, boxes, labels, source, *apart)

    def _draw_target(self, draw: str, rng: random.Random) -> tuple[Video, int]:
        """A video, and one of its labelled frames."""
        if draw == "clips":
            video = self.videos[rng.randrange(len(self.videos))]
            labelled = self.dataset.labelled_frames(video.name)
            return video, int(labelled[rng.randrange(len(labelled))])
        number = rng.randrange(self.ends[-1])
        place = bisect.bisect_right(self.ends, number)
        video = self.videos[place]
        return video, int(self.dataset.labelled_frames(video.name)[number - self.ends[place]])

    def _draw_support(
        self, video: Video, target: int, settings: TrainingRecipe, rng: random.Random
    ) -> list[int]:
        """Support frames; those that are targets too come from the labelled frames alone."""
        count, window = settings.support_frames, settings.support_window
        if not settings.mutual_support:
            return training_support(video.num_frames, target, count, window=window, rng=rng)
        labelled = self.dataset.labelled_frames(video.name)
        if len(labelled) == video.num_frames:
            return training_support(video.num_frames, target, count, window=window, rng=rng)
        place = int(np.searchsorted(labelled, target))
        chosen = training_support(len(labelled), place, count, window=window, rng=rng)
        return [int(labelled[index]) for index in chosen]


def _number(seed: int, step: int, index: int) -> int:
    """A number below 2**62 of seed, step and the target frame's index in the step."""
    digest = hashlib.sha256(f"{seed}:{step}:{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2
