"""Predictions and ground truth of all evaluated frames, pooled into flat arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from trovid.datasets.objects import Attribute, Objects, known
from trovid.datasets.video_names import by_labels
from trovid.errors import TrovidError
from trovid.evaluation.motion import motion_iou, tracked
from trovid.structures import Detections, Video, VideoDetections

if TYPE_CHECKING:
    from trovid.datasets.contract import Dataset

MAX_DETECTIONS = 100
CLEAN = "none"
"""The deterioration of an object that has none."""


@dataclass(frozen=True, eq=False)
class Pool:
    """What every metric reads: G objects and D detections in I frames of V clips.

    Frames stand in the order of the labels; the detections of a frame keep the order they were
    given in. A frame's `image` is its index in 0..I-1.

    Attributes:
        class_names: Classes of the labels; the label arrays index into it.
        clip_names: Names of the V clips.
        clips: Array[I], clip of each frame.
        frames: Array[I], index of each frame in its clip.
        boxes: Array[D, 4] float32 or float64, x1 y1 x2 y2 in pixels.
        scores: Array[D] float32 or float64.
        labels: Array[D].
        images: Array[D], frame of each detection.
        objects: The G objects; where the labels follow instances, each with its `motion_iou`.
        true_images: Array[G], frame of each object.
        strength_edges: For each kind of deterioration the two values that cut all its objects of
            the label file (not only the evaluated frames) into thirds; empty without strengths.
        counts: Videos, frames, objects and detections evaluated, and what was left out.
    """

    class_names: tuple[str, ...]
    clip_names: tuple[str, ...]
    clips: NDArray[np.int64]
    frames: NDArray[np.int32]
    boxes: NDArray[Any]
    scores: NDArray[Any]
    labels: NDArray[np.int16]
    images: NDArray[np.int32]
    objects: Objects
    true_images: NDArray[np.int64]
    strength_edges: dict[str, tuple[float, float]]
    counts: dict[str, int | list[str]]

    def attribute(self, name: str) -> Attribute | None:
        """Array[G] of an attribute; None where it is not known of every object."""
        column = self.objects.attributes.get(name)
        return column if column is not None and known(column).all() else None


def pool_frames(
    predictions: Mapping[str, Sequence[Detections] | VideoDetections], dataset: Dataset
) -> Pool:
    """Bring predictions and labels together, frame by frame and class by class.

    Only frames that occur in `predictions` count, a frame without any detection included; of
    these, frames that the labels do not list are left out. Classes are matched by name.

    Args:
        predictions: For each video's name its frames, at most one entry a frame. A video is asked
            for once, so that a mapping may read it then.
        dataset: Ground truth of these videos (see `labelled_name`); it may hold more.

    Raises:
        TrovidError: If a video, a frame or all classes are unknown to the labels, a frame comes
            twice, or a box or score is not finite.
    """
    predictions = by_labels(predictions, dataset)
    classes = _ClassMap(dataset.class_names)
    clip_names: list[str] = []
    clips: list[int] = []
    columns = _Columns()
    rows, images, indices = [], [], []
    predicted = 0
    for video in dataset.videos:
        found = predictions.get(video.name, ())
        if not len(found):
            continue
        own_found = _checked(video, found, classes)
        predicted += len(own_found)
        labelled = np.intersect1d(dataset.labelled_frames(video.name), own_found.frame_indices)
        video_rows = dataset.rows(video.name)
        frames = dataset.objects.frames[video_rows]
        among = np.flatnonzero(np.isin(frames, labelled))
        rows.append(video_rows.start + among)
        images.append(len(clips) + np.searchsorted(labelled, frames[among]))
        columns.add(_detections(own_found, labelled, len(clips), classes))
        clips += [len(clip_names)] * len(labelled)
        indices.append(labelled)
        clip_names.append(video.name)
    if not predicted:
        raise TrovidError("the predictions hold no frame")
    if not clips:
        raise TrovidError("none of the predicted frames is labelled")
    boxes, scores, labels, detected_images = columns.arrays
    chosen = np.concatenate(rows)
    objects = dataset.objects[chosen]
    if "motion_iou" not in objects.attributes and tracked(dataset.objects):
        speeds = {"motion_iou": motion_iou(dataset.objects)[chosen]}
        objects = replace(objects, attributes={**objects.attributes, **speeds})
    return Pool(
        class_names=dataset.class_names,
        clip_names=tuple(clip_names),
        clips=np.array(clips),
        frames=np.concatenate(indices),
        boxes=boxes,
        scores=scores,
        labels=labels,
        images=detected_images,
        objects=objects,
        true_images=np.concatenate(images),
        strength_edges=_strength_edges(dataset.objects.attributes),
        counts={
            "videos": len(clip_names),
            "labelled_videos": len(dataset.videos),
            "frames": len(clips),
            "labelled_frames": sum(len(dataset.labelled_frames(v.name)) for v in dataset.videos),
            "objects": int(objects.counted.sum()),
            "ignored_objects": int((~objects.counted).sum()),
            "detections": len(boxes),
            "unlabelled_frames_left_out": predicted - len(clips),
            "predicted_classes_left_out": classes.strangers,
        },
    )


class _ClassMap:
    """Finds a prediction's classes among those of the labels, by name."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._index = {name: i for i, name in enumerate(class_names)}
        self.names = tuple(class_names)
        self._maps: dict[tuple[str, ...], NDArray[np.int64]] = {}
        self.strangers: list[str] = []

    def add(self, names: tuple[str, ...]) -> None:
        if names in self._maps:
            return
        self._maps[names] = np.array([self._index.get(name, -1) for name in names], dtype=np.int64)
        if names and (self._maps[names] < 0).all():
            raise TrovidError(
                f"none of the predicted classes ({', '.join(names[:3])} ...) is among the labels' "
                f"({', '.join(list(self._index)[:3])} ...)"
            )
        unknown = [name for name in names if name not in self._index]
        self.strangers += [name for name in unknown if name not in self.strangers]

    def __contains__(self, names: object) -> bool:
        return names in self._maps

    def __getitem__(self, names: tuple[str, ...]) -> NDArray[np.int64]:
        return self._maps[names]


def _checked(
    video: Video, found: Sequence[Detections] | VideoDetections, classes: _ClassMap
) -> VideoDetections:
    """A video's frames in columns, checked, with the labels' classes; -1 for a class unknown."""
    if isinstance(found, VideoDetections):
        classes.add(found.class_names)
        columns = found
    else:
        names = {frame.class_names for frame in found}
        for class_names in sorted(names):
            classes.add(class_names)
        frames = [_renamed(frame, classes) for frame in found] if len(names) > 1 else found
        columns = VideoDetections.from_frames(frames)
    indices = columns.frame_indices
    strange = indices[(indices < 0) | (indices >= video.num_frames)]
    if len(strange):
        raise TrovidError(
            f"frame {strange[0]} of video '{video.name}' does not exist: "
            f"the labels give it {video.num_frames} frames"
        )
    known_once, times = np.unique(indices, return_counts=True)
    if len(known_once) < len(indices):
        twice = known_once[times.argmax()]
        raise TrovidError(f"frame {twice} of video '{video.name}' was predicted twice")
    bad = ~(np.isfinite(columns.boxes).all(axis=1) & np.isfinite(columns.scores))
    if bad.any():
        frame = np.repeat(indices, columns.counts)[bad.argmax()]
        raise TrovidError(f"a box or score in frame {frame} of video '{video.name}' is not finite")
    return columns


def _renamed(frame: Detections, classes: _ClassMap) -> Detections:
    """A frame of a model that knows other classes than that of the frame before."""
    labels = torch.from_numpy(classes[frame.class_names])[frame.labels.cpu().long()]
    return replace(frame[labels >= 0], labels=labels[labels >= 0], class_names=classes.names)


def _detections(
    columns: VideoDetections, labelled: NDArray[np.int32], first: int, classes: _ClassMap
) -> tuple[NDArray[Any], ...]:
    """Boxes, scores, labels and images of those in labelled frames, of classes that are known."""
    if columns.class_names not in classes:
        classes.add(columns.class_names)
    frames = np.repeat(columns.frame_indices, columns.counts)
    labels = classes[columns.class_names][columns.labels].astype(np.int16)
    images = np.searchsorted(labelled, frames).astype(np.int32)
    ours = (labels >= 0) & np.isin(frames, labelled)
    order = np.flatnonzero(ours)
    order = order[np.argsort(images[order], kind="stable")]
    return columns.boxes[order], columns.scores[order], labels[order], images[order] + first


class _Columns:
    """Boxes, scores, labels and images of one video after another, in arrays that grow.

    The arrays grow in place, so that nothing is ever held twice.
    """

    def __init__(self) -> None:
        self.arrays: list[NDArray[Any]] = []

    def add(self, columns: Sequence[NDArray[Any]]) -> None:
        if not self.arrays:
            self.arrays = [np.array(column) for column in columns]
            return
        for number, column in enumerate(columns):
            array = self.arrays[number]
            if np.result_type(array, column) != array.dtype:
                array = self.arrays[number] = array.astype(np.result_type(array, column))
            before = len(array)
            array.resize((before + len(column), *array.shape[1:]), refcheck=False)
            array[before:] = column


def _strength_edges(attributes: Mapping[str, Attribute]) -> dict[str, tuple[float, float]]:
    if not {"deterioration", "strength"} <= attributes.keys():
        return {}
    kinds, strengths = attributes["deterioration"], attributes["strength"]
    edges = {}
    for kind in sorted(set(kinds[known(kinds) & known(strengths)].tolist()) - {CLEAN}):
        kind_strengths = strengths[(kinds == kind) & known(strengths)]
        low, high = np.quantile(kind_strengths, [1 / 3, 2 / 3])
        edges[kind] = (float(low), float(high))
    return edges
