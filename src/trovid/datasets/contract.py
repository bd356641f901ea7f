"""What every data set is to the rest of trovid: videos, the frames that count, their objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from trovid.datasets.objects import Objects
from trovid.errors import TrovidError, nearest
from trovid.structures import GroundTruth, Masks, Video
from trovid.video.images import SUFFIXES as IMAGE_SUFFIXES
from trovid.video.opening import VideoReader, open_video


@dataclass(frozen=True, slots=True)
class VideoEntry:
    """What a reader says of one video.

    Attributes:
        video: Its name, unique in the data set, and its measures.
        path: Its file, or its folder of images.
        labelled: Indices of the frames that somebody looked at, ascending: those with objects and
            those that were found to hold none. All other frames may only support them.
        files: Where the labels name the frames' files: the name of each frame's file, from the
            folder `path`, "" for those that are not named; None where no label names any.
    """

    video: Video
    path: str
    labelled: Sequence[int]
    files: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class SourceIds:
    """The numbers by which a file of labels, and results made for it, name frames and classes.

    Attributes:
        frames: int64 [N, 3], the id of each image, the number of its video and the index of its
            frame there.
        labels: For each category's id its label.
    """

    frames: NDArray[np.int64]
    labels: Mapping[int, int]

    @classmethod
    def of(cls, frames: Mapping[int, tuple[int, int]], labels: Mapping[int, int]) -> SourceIds:
        """From the place of each image's id."""
        rows = np.array([(image, *place) for image, place in frames.items()], dtype=np.int64)
        return cls(rows.reshape(-1, 3), labels)


class Dataset:
    """Labelled videos, whatever their files look like.

    Labels are held in columns (`Objects`); a frame is read, and a mask decoded, when asked for.
    Each reader (`coco_vid.py`, `imagenet_vid.py`) makes one; `read_dataset` finds the reader.

    Args:
        class_names: Names of the classes; labels index them.
        entries: The videos.
        objects: The labelled objects, in order; their `videos` index `entries`.
        info: What the source says of itself (name, version, split, ...).
        box_layout: How the source writes a box, which tells in what way a box may be wrong.
        ids: The ids of the source, in which results may be written.
        sources: Of a mixture for each video the number of the data set that it comes from.
        weights: Of a mixture how often each of these is drawn in training.

    Attributes:
        class_names: Names of the classes.
        videos: Name and measures of each video.
        objects: The labelled objects of all videos.
        info: What the source says of itself; {} where it says nothing.
        box_layout: "xywh" (x1, y1, width, height) or "xyxy" (x1, y1, x2, y2).
        ids: See there; None where the source has none, and in a part of it.
        sources: See there.
        weights: See there.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        entries: Iterable[VideoEntry],
        objects: Objects,
        *,
        info: Mapping[str, Any] | None = None,
        box_layout: Literal["xywh", "xyxy"] = "xywh",
        ids: SourceIds | None = None,
        sources: Sequence[int] = (),
        weights: Sequence[float] = (),
    ) -> None:
        entries = list(entries)
        self.class_names = tuple(class_names)
        self.videos = [entry.video for entry in entries]
        self.objects = objects
        self.info = dict(info or {})
        self.box_layout: Literal["xywh", "xyxy"] = box_layout
        self.ids = ids
        self.sources = tuple(sources)
        self.weights = tuple(weights)
        self._paths = [entry.path for entry in entries]
        self._files = [entry.files for entry in entries]
        self._labelled = [np.array(entry.labelled, dtype=np.int32) for entry in entries]
        self._numbers = {video.name: number for number, video in enumerate(self.videos)}
        self._starts = np.searchsorted(objects.videos, np.arange(len(entries) + 1))

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def video(self, name: str) -> Video:
        """Name and measures of a video.

        Raises:
            KeyError: If there is no such video, as in all methods that take a name.
        """
        return self.videos[self._numbers[name]]

    def path(self, name: str) -> Path:
        """A video's file, or its folder of images."""
        return Path(self._paths[self._numbers[name]])

    def named_files(self, name: str) -> Sequence[str] | None:
        """See `VideoEntry.files`."""
        return self._files[self._numbers[name]]

    def source(self, name: str) -> Path | list[Path]:
        """What `open_video` takes: a video's file, its folder of images, or its images in order."""
        path, files = self.path(name), self.named_files(name)
        if files and all(files):
            return [path / file for file in files]
        return [path] if path.suffix.lower() in IMAGE_SUFFIXES else path

    def open(self, name: str) -> VideoReader:
        """A video's frames, which are decoded as they are read.

        Raises:
            TrovidError: If the file is missing, empty, damaged or no video.
        """
        return open_video(self.source(name))

    def subset(
        self, names: Iterable[str] | None = None, *, classes: Sequence[str] | None = None
    ) -> Dataset:
        """The same with some of the videos alone, or with some of the classes.

        Args:
            names: Names of the videos wanted, which keep their order; None for all.
            classes: Names of the classes wanted, in the order wanted; objects of others are left
                out. None for all.

        Raises:
            KeyError: If there is no such video.
            TrovidError: If there is no such class.
        """
        wanted = range(len(self.videos)) if names is None else map(self._numbers.__getitem__, names)
        chosen = sorted(wanted)
        class_names = self.class_names if classes is None else tuple(classes)
        for name in class_names:
            if name not in self.class_names:
                raise TrovidError(f"no class {name!r}{nearest(name, self.class_names)}")
        places = np.full(len(self.videos), -1, dtype=np.int32)
        places[chosen] = np.arange(len(chosen))
        labels = np.array(
            [class_names.index(n) if n in class_names else -1 for n in self.class_names],
            dtype=np.int32,
        )
        kept = (places[self.objects.videos] >= 0) & (labels[self.objects.labels] >= 0)
        kept_objects = self.objects[np.flatnonzero(kept)]
        objects = replace(
            kept_objects, videos=places[kept_objects.videos], labels=labels[kept_objects.labels]
        )
        entries = [
            VideoEntry(self.videos[i], self._paths[i], self._labelled[i].tolist(), self._files[i])
            for i in chosen
        ]
        return Dataset(
            class_names,
            entries,
            objects,
            info=self.info,
            box_layout=self.box_layout,
            sources=[self.sources[i] for i in chosen] if self.sources else (),
            weights=self.weights,
        )

    def with_visible_masks(self) -> Dataset:
        """The same videos, whose masks are what of each object can be seen.

        Raises:
            TrovidError: If the labels do not tell the visible part of every object.
        """
        visible = self.objects.visible_masks
        if visible is None or not all(visible):
            raise TrovidError(
                "the labels do not tell what of each object can be seen (`visible_segmentation`)"
            )
        same = copy(self)
        same.objects = replace(self.objects, masks=visible)
        return same

    @property
    def amodal(self) -> bool:
        """Whether masks are whole shapes, whatever lies in front of them, as far as is said."""
        return self.objects.visible_masks is not None or self.info.get("amodal") is True

    def labelled_frames(self, name: str) -> NDArray[np.int32]:
        """Indices of a video's frames that were labelled (with objects or without), ascending."""
        return self._labelled[self._numbers[name]]

    def rows(self, name: str) -> slice:
        """Which of `objects` are a video's."""
        number = self._numbers[name]
        return slice(int(self._starts[number]), int(self._starts[number + 1]))

    def ground_truth(
        self, name: str, *, frames: Iterable[int] | None = None, masks: bool = False
    ) -> list[GroundTruth]:
        """The labelled objects of a video, one entry a frame; frames without labels are empty.

        Args:
            name: Name of the video.
            frames: Indices of the frames wanted; None for all.
            masks: Whether with the masks (where every object of the video has one).
        """
        video = self.video(name)
        objects = self.objects[self.rows(name)]
        wanted = np.fromiter(range(video.num_frames) if frames is None else frames, dtype=np.int64)
        starts = np.searchsorted(objects.frames, wanted, side="left").tolist()
        ends = np.searchsorted(objects.frames, wanted, side="right").tolist()
        with_masks = masks and objects.masks is not None and all(objects.masks)
        return [
            self._frame(video, index, objects[start:end], masks=with_masks)
            for index, start, end in zip(wanted.tolist(), starts, ends, strict=True)
        ]

    def _frame(self, video: Video, index: int, objects: Objects, *, masks: bool) -> GroundTruth:
        return GroundTruth(
            boxes=torch.tensor(objects.boxes, dtype=torch.float32),
            labels=torch.tensor(objects.labels, dtype=torch.int64),
            instance_ids=torch.tensor(objects.instance_ids),
            class_names=self.class_names,
            frame_index=index,
            image_size=(video.height, video.width),
            crowd=torch.tensor(objects.crowd),
            ignore=torch.tensor(objects.ignore),
            attributes={
                name: tuple(column.tolist()) if column.dtype.kind == "U" else torch.tensor(column)
                for name, column in objects.attributes.items()
            },
            masks=Masks((video.height, video.width), tuple(objects.masks))
            if masks and objects.masks is not None
            else None,
        )
