"""Training clips: which frames a step takes, and what is to be found in them."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trovid.datasets.contract import Dataset
from trovid.datasets.true_tracks import check_identities
from trovid.errors import TrovidError
from trovid.recipes import AugmentationRecipe, TrainingRecipe
from trovid.structures import GroundTruth, Video
from trovid.training.augmentation import Window, changed_looks, drawn_windows, in_windows
from trovid.training.balance import repeat_factors
from trovid.training.camera import LEAST_LEFT, filmed
from trovid.training.drawn import DrawnClips
from trovid.training.frames import ResizedFrames
from trovid.training.identity import dataset_digest
from trovid.training.mixture import Mixture, by_weight
from trovid.training.support_frames import training_support
from trovid.video.transforms import FrameTransform, skip_colours


class TrainingClips:
    """The labelled clips of a data set.

    Args:
        dataset: The labelled videos.
        transform: Resizing and normalisation.
        cache: Folder for the resized frames (`ResizedFrames`).
        videos: How many of the videos are used; None for all.
        masks: Whether the objects' masks are wanted too.
        identities: Whether it must be known which object of other frames an object is.
        room: Bytes that the cache may take (`ResizedFrames`).
        progress: Called with (videos done, videos in all) while the cache is filled.

    Attributes:
        digest: Another one for other data (`dataset_digest`).

    Raises:
        TrovidError: If no video has a labelled frame (of a mixture: none of one of its data sets),
            one cannot be read, or masks are wanted and an object has none, or identities and a
            video has none.
    """

    def __init__(
        self,
        dataset: Dataset,
        transform: FrameTransform,
        *,
        cache: Path,
        videos: int | None = None,
        masks: bool = False,
        identities: bool = False,
        room: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        chosen = dataset.videos[:videos]
        self.videos = [video for video in chosen if len(dataset.labelled_frames(video.name))]
        if not self.videos:
            raise TrovidError("no video of the training data has a labelled frame")
        self.masks = masks
        names = [video.name for video in self.videos]
        check_learnable(dataset, names, masks=masks, identities=identities)
        self._mixture = Mixture(dataset, names) if dataset.weights else None
        self.ends = list(itertools.accumulate(len(dataset.labelled_frames(n)) for n in names))
        self._balanced = list(itertools.accumulate(repeat_factors(dataset, names)))
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

        Raises:
            TrovidError: If masks are trained and frames shall be cropped.
        """
        changes = settings.augmentation
        if self.masks and (changes.crop < 1 or changes.still_motion or settings.camera):
            raise TrovidError(
                "training.augmentation and training.camera move no masks: set crop to 1, "
                "still_motion to 0 and camera to null"
            )
        rng = random.Random(f"{seed}:{step}")
        colours = np.random.RandomState(rng.getrandbits(32))
        per_clip = settings.support_frames + 1 if settings.mutual_support else 1
        frames, indices, names, parts = [], [], [], _Parts(self.masks)
        wanted = range(settings.batch) if share is None else share
        first_video: Video | None = None
        for number in range(settings.batch):
            video, target = self._draw_target(settings.draw, rng)
            while settings.group_aspects and _upright(video) != _upright(first_video or video):
                video, target = self._draw_target(settings.draw, rng)
            first_video = first_video or video
            support = self._draw_support(video, target, settings, rng)
            others = self._references(video, target, support, settings, rng)
            known = [target, *(others if per_clip == 1 else support)]
            chosen = [*known, *(support if per_clip == 1 else ())]
            mirrored = settings.flip > 0 and rng.random() < settings.flip
            if number not in wanted:
                if number < wanted.start:
                    skip_colours(colours)
                continue
            names.append(video.name)
            chance = random.Random(f"{seed}:{step}:{number}:looks")
            clip, truths = self._seen(video, chosen, known, settings, chance)
            if changes != AugmentationRecipe():
                clip = changed_looks(clip, changes, chance, targets=per_clip)
            frames.append(np.ascontiguousarray(clip[:, :, ::-1]) if mirrored else clip)
            indices.append([target, *(~n if i == target else i for n, i in enumerate(chosen[1:]))])
            size = (clip.shape[1], clip.shape[2])
            first = sum(map(len, frames[:-1]))
            parts.add(truths, per_clip, size, mirrored, first, [known.index(i) for i in others])
        source = colours if settings.colour_augmentation else None
        first = wanted.start * per_clip
        numbers = range(first, first + len(parts.boxes) if settings.random == "clip" else first)
        seeds = [_number(seed, step, number) for number in numbers]
        return DrawnClips(
            frames,
            indices,
            per_clip,
            colours=source,
            videos=names,
            seeds=seeds,
            **vars(parts),
        )

    def _seen(
        self,
        video: Video,
        chosen: list[int],
        known: list[int],
        settings: TrainingRecipe,
        chance: random.Random,
    ) -> tuple[NDArray[np.uint8], list[GroundTruth]]:
        """Some frames of a video as they are learned from, and the objects of the first of them."""
        if settings.camera is not None and video.num_frames == 1:
            picture = self._labelled(video, 0)
            frames, truths = filmed(
                *picture, settings.camera, chance, count=len(chosen), other=self._other
            )
            return frames, truths[: len(known)]
        windows = drawn_windows(
            settings.augmentation, chance, count=len(chosen), still=video.num_frames == 1
        )
        frames = in_windows(self.frames.read(video.name, chosen), windows)
        truths = self._truths(video, known)
        return frames, [
            _in_window(truth, window) if window.share < 1 else truth
            for truth, window in zip(truths, windows, strict=False)
        ]

    def _labelled(self, video: Video, frame: int) -> tuple[NDArray[np.uint8], GroundTruth]:
        (truth,) = self._truths(video, [frame])
        return self.frames.read(video.name, [frame])[0], truth

    def _truths(self, video: Video, frames: Sequence[int]) -> list[GroundTruth]:
        truths = self.dataset.ground_truth(video.name, frames=frames, masks=self.masks)
        return [_in_frame(truth) for truth in truths]

    def _other(self, chance: random.Random) -> tuple[NDArray[np.uint8], GroundTruth]:
        """A labelled picture at random, one of rare classes more often."""
        video = self.videos[by_weight(self._balanced, chance)]
        return self._labelled(video, int(self.dataset.labelled_frames(video.name)[0]))

    def _references(
        self,
        video: Video,
        target: int,
        support: list[int],
        settings: TrainingRecipe,
        rng: random.Random,
    ) -> list[int]:
        """For each target frame of a clip another one that its objects are matched with.

        That is any labelled frame of the window, or another target frame of the clip where all are
        target frames; the target frame itself where the video has no other.
        """
        window = settings.reference_window
        if not window:
            return []
        if settings.mutual_support:
            targets = [target, *support]
            pools = [[j for j in targets if 0 < abs(i - j) <= window] or [i] for i in targets]
        else:
            labelled = self.dataset.labelled_frames(video.name).tolist()
            near = [j for j in labelled if 0 < abs(target - j) <= window]
            pools = [[j for j in near if j not in support] or near or [target]]
        return [pool[rng.randrange(len(pool))] for pool in pools]

    def _draw_target(self, draw: str, rng: random.Random) -> tuple[Video, int]:
        """A video, and one of its labelled frames."""
        if self._mixture is not None:
            return self._mixture.draw(draw, rng)
        if draw in ("clips", "balanced"):
            every = len(self.videos)
            video = self.videos[
                by_weight(self._balanced, rng) if draw == "balanced" else rng.randrange(every)
            ]
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


def check_learnable(
    dataset: Dataset, names: Sequence[str], *, masks: bool, identities: bool
) -> None:
    """That what is wanted of the objects is labelled in each of some videos.

    Raises:
        TrovidError: If it is not.
    """
    for name in names if masks else ():
        codes = dataset.objects[dataset.rows(name)].masks
        if codes is None or not all(codes):
            raise TrovidError(
                f"{name}: masks are trained, but not every object of it has one: add them to the "
                "labels, or train a recipe without a mask head"
            )
    if identities:
        check_identities(dataset, names, "identities are trained (the recipe has a track head)")


def _upright(video: Video) -> bool:
    return video.height > video.width


def _number(seed: int, step: int, index: int) -> int:
    """A number below 2**62 of seed, step and the target frame's index in the step."""
    digest = hashlib.sha256(f"{seed}:{step}:{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2


class _Parts:
    """What is known of the objects of a step's clips, by the names of DrawnClips."""

    def __init__(self, masks: bool) -> None:
        self.boxes: list[NDArray[np.float32]] = []
        self.labels: list[NDArray[np.int64]] = []
        self.instance_ids: list[NDArray[np.int64]] = []
        self.masks: list[NDArray[np.bool_]] | None = [] if masks else None
        self.references: list[int] = []
        self.reference_boxes: list[NDArray[np.float32]] = []
        self.reference_ids: list[NDArray[np.int64]] = []
        self.ignored: list[NDArray[np.float32]] = []

    def add(
        self,
        truths: Sequence[GroundTruth],
        targets: int,
        size: tuple[int, int],
        mirrored: bool,
        first: int,
        references: Sequence[int],
    ) -> None:
        """A clip.

        Args:
            truths: Of its target frames and then, if need be, of its reference frame.
            targets: How many are target frames.
            size: Height and width of the resized frame.
            mirrored: Whether the frames are.
            first: Number of the clip's first frame among all.
            references: For each target frame the place in the clip of its reference frame.
        """
        boxes = [_boxes(truth, truth.counted, size, mirrored) for truth in truths]
        ids = [truth.instance_ids[truth.counted].numpy() for truth in truths]
        self.boxes += boxes[:targets]
        self.ignored += [
            _boxes(truth, ~truth.counted, size, mirrored) for truth in truths[:targets]
        ]
        self.instance_ids += ids[:targets]
        self.labels += [truth.labels[truth.counted].numpy() for truth in truths[:targets]]
        if self.masks is not None:
            self.masks += [_masks(truth, size, mirrored) for truth in truths[:targets]]
        self.references += [first + place for place in references]
        self.reference_boxes += [boxes[place] for place in references]
        self.reference_ids += [ids[place] for place in references]


def _in_frame(truth: GroundTruth) -> GroundTruth:
    """The objects with boxes cut at the frame's edges; what lies outside need not be found."""
    boxes = Window().boxes(truth.boxes, truth.image_size)
    outside = (boxes[:, 2:] <= boxes[:, :2]).any(1)
    return replace(
        truth, boxes=boxes, ignore=outside if truth.ignore is None else truth.ignore | outside
    )


def _in_window(truth: GroundTruth, window: Window) -> GroundTruth:
    """The objects in a window of the frame; those that are mostly outside need not be found."""
    boxes = window.boxes(truth.boxes, truth.image_size)
    areas = (truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(1).clamp(min=1e-9) / window.share**2
    left = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1) / areas
    ignore = torch.zeros(len(truth), dtype=torch.bool) if truth.ignore is None else truth.ignore
    return replace(truth, boxes=boxes, ignore=ignore | (left < LEAST_LEFT))


def _boxes(
    truth: GroundTruth, which: Tensor, size: tuple[int, int], mirrored: bool
) -> NDArray[np.float32]:
    """Some of the objects, [N, 4] in pixels of the resized frame."""
    scale = torch.tensor(size) / torch.tensor(truth.image_size)
    boxes = truth.boxes[which] * scale.flip(0).repeat(2)
    if mirrored:
        boxes[:, [0, 2]] = size[1] - boxes[:, [2, 0]]
    return boxes.numpy()


def _masks(truth: GroundTruth, size: tuple[int, int], mirrored: bool) -> NDArray[np.bool_]:
    """The masks of the objects that count, [N, height, width]."""
    if truth.masks is None:
        return np.zeros((0, *size), dtype=np.bool_)
    pixels = truth.masks[truth.counted].resized(size).dense().numpy()
    return np.ascontiguousarray(pixels[:, :, ::-1]) if mirrored else pixels
