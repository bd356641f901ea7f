"""Training clips: frames decoded and resized, read at random."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.datasets.contract import Dataset
from trovid.errors import TrovidError
from trovid.files import replacing
from trovid.structures import TrainingBatch, Video
from trovid.training.support_frames import training_support
from trovid.video.images import SUFFIXES as IMAGE_SUFFIXES
from trovid.video.images import images_in, read_image
from trovid.video.opening import open_video
from trovid.video.transforms import FrameTransform, permute_colours


class TrainingClips:
    """The labelled clips of a data set, resized.

    Video files are decoded once, into a cache of resized frames; images are read when they are
    needed.

    Args:
        labels: The labelled videos.
        transform: Resizing and normalisation.
        cache: Folder for the resized frames, one array a video file, each written atomically.
        videos: How many of the videos are used; None for all.
        progress: Called with (videos done, videos in all) while the cache is filled.

    Raises:
        TrovidError: If no video has a labelled frame.
    """

    def __init__(
        self,
        labels: Dataset,
        transform: FrameTransform,
        *,
        cache: Path,
        videos: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.labels = labels
        self.transform = transform
        chosen = labels.videos[:videos]
        self.labelled = {v.name: labels.labelled_frames(v.name).tolist() for v in chosen}
        self.videos = [video for video in chosen if self.labelled[video.name]]
        if not self.videos:
            raise TrovidError("no video of the training data has a labelled frame")
        self.ends = list(itertools.accumulate(len(self.labelled[v.name]) for v in self.videos))
        self.folder = cache / _fingerprint(labels, transform)
        self.folder.mkdir(parents=True, exist_ok=True)
        for done, video in enumerate(self.videos, 1):
            self._fill(video)
            if progress:
                progress(done, len(self.videos))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _fill(self, video: Video) -> None:
        file = self._file(video.name)
        path = self.labels.path(video.name)
        if _holds_images(path) or file.exists():
            return
        with open_video(path) as reader:
            frames = np.stack([self.transform.resize(frame.image) for frame in reader])
        with replacing(file) as partial:
            np.save(partial, frames)

    def _draw(self, draw: str, rng: random.Random) -> tuple[Video, int]:
        """A video, and one of its labelled frames."""
        if draw == "clips":
            video = self.videos[rng.randrange(len(self.videos))]
            return video, rng.choice(self.labelled[video.name])
        number = rng.randrange(self.ends[-1])
        place = bisect.bisect_right(self.ends, number)
        video = self.videos[place]
        return video, self.labelled[video.name][number - self.ends[place]]

    def _frames(self, video: Video, indices: Sequence[int]) -> list[np.ndarray]:
        path = self.labels.path(video.name)
        if not _holds_images(path):
            frames = np.load(self._file(video.name), mmap_mode="r")
            return [frames[i] for i in indices]
        files = images_in(path) if path.is_dir() else [path]
        return [self.transform.resize(read_image(files[i])) for i in indices]

    def batch(
        self,
        size: int,
        support_frames: int,
        *,
        seed: Sequence[int],
        window: int | None = None,
        mutual: bool = False,
        draw: str = "clips",
        flip: float = 0.0,
        colours: bool = True,
    ) -> TrainingBatch:
        """A random target frame of each of some random clips, with support frames of its own clip.

        Frames of different sizes are padded with zeros to the largest.

        Args:
            size: Number B of clips.
            support_frames: Number T of support frames of each.
            seed: The batch depends on this alone (seed of the training, step), so that a resumed
                training sees what an uninterrupted one sees.
            window: See `training_support`.
            mutual: Whether the support frames are target frames too.
            draw: Whether "clips" are drawn alike, or labelled "frames".
            flip: Probability that a clip's frames are mirrored, all alike.
            colours: Whether colours are exchanged and inverted, alike within a clip.

        Raises:
            TrovidError: If support frames shall be target frames, but not all are labelled.
        """
        rng = random.Random(":".join(map(str, seed)))
        numpy_rng = np.random.RandomState(rng.getrandbits(32))
        per_clip = support_frames + 1 if mutual else 1
        images, indices, targets, sizes = [], [], [], []
        for _ in range(size):
            video, target = self._draw(draw, rng)
            count = video.num_frames
            if mutual and len(self.labelled[video.name]) < count:
                raise TrovidError(
                    f"{video.name}: training.mutual_support needs labels in every frame, but only "
                    f"{len(self.labelled[video.name])} of {count} have any: set it to false"
                )
            support = training_support(count, target, support_frames, window=window, rng=rng)
            chosen = [target, *support]
            frames = self._frames(video, chosen)
            mirrored = flip > 0 and rng.random() < flip
            if mirrored:
                frames = [frame[:, ::-1] for frame in frames]
            clip = self.transform.normalise(frames)
            images.append(permute_colours(clip, numpy_rng) if colours else clip)
            indices.append([target, *(~n if i == target else i for n, i in enumerate(support))])
            shape = frames[0].shape[:2]
            sizes += [shape] * len(frames)
            targets += self._targets(video, chosen[:per_clip], shape, mirrored)
        return TrainingBatch(pad_to_largest(images), indices, per_clip, targets, sizes)

    def _targets(
        self, video: Video, frames: Sequence[int], size: tuple[int, int], mirrored: bool
    ) -> list[dict[str, Tensor]]:
        """Of each frame the boxes in pixels of the resized and maybe mirrored frame, and labels."""
        found = []
        for truth in self.labels.ground_truth(video.name, frames=frames):
            scale = torch.tensor(size) / torch.tensor(truth.image_size)
            boxes = truth.boxes * scale.flip(0).repeat(2)
            if mirrored:
                boxes[:, [0, 2]] = size[1] - boxes[:, [2, 0]]
            found.append({"boxes": boxes, "labels": truth.labels})
        return found


def pad_to_largest(clips: Sequence[Tensor]) -> Tensor:
    """Clips Tensor[T, 3, H, W] of different sizes as one, zeros on the right and below."""
    height, width = (max(clip.shape[axis] for clip in clips) for axis in (-2, -1))
    return torch.cat(
        [F.pad(clip, (0, width - clip.shape[-1], 0, height - clip.shape[-2])) for clip in clips]
    )


def _holds_images(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES


def _fingerprint(labels: Dataset, transform: FrameTransform) -> str:
    what = labels.info or [video.name for video in labels.videos]
    text = f"{what}{len(labels.videos)}{transform}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
