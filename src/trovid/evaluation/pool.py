"""Predictions and ground truth of all evaluated frames, pooled into flat arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trovid.datasets.objects import Attribute, Objects, known
from trovid.errors import TrovidError
from trovid.structures import Detections

if TYPE_CHECKING:
    from trovid.datasets.contract import Dataset

MAX_DETECTIONS = 100
CLEAN = "none"
"""The deterioration of an object that has none."""


@dataclass(frozen=True, eq=False)
class Pool:
    """What every metric reads: G objects and D detections in I frames of V clips.

    Frames stand in the order of the labels; detections keep the order they were given in. A
    frame's `image` is its index in 0..I-1.

    Attributes:
        class_names: Classes of the labels; the label arrays index into it.
        clip_names: Names of the V clips.
        clips: Array[I], clip of each frame.
        boxes: Array[D, 4] float64, x1 y1 x2 y2 in pixels.
        scores: Array[D] float64.
        labels: Array[D].
        images: Array[D], frame of each detection.
        objects: The G objects.
        true_images: Array[G], frame of each object.
        strength_edges: For each kind of deterioration the two values that cut all its objects of
            the label file (not only the evaluated frames) into thirds; empty without strengths.
        counts: Videos, frames, objects and detections evaluated, and what was left out.
    """

    class_names: tuple[str, ...]
    clip_names: tuple[str, ...]
    clips: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    images: NDArray[np.int64]
    objects: Objects
    true_images: NDArray[np.int64]
    strength_edges: dict[str, tuple[float, float]]
    counts: dict[str, int | list[str]]

    def attribute(self, name: str) -> Attribute | None:
        """Array[G] of an attribute; None where it is not known of every object."""
        column = self.objects.attributes.get(name)
        return column if column is not None and known(column).all() else None


def pool_frames(predictions: Mapping[str, Sequence[Detections]], dataset: Dataset) -> Pool:
    """Bring predictions and labels together, frame by frame and class by class.

    Only frames that occur in `predictions` count, a frame without any detection included; of
    these, frames that the labels do not list are left out. Classes are matched by name.

    Args:
        predictions: For each video's name its frames, at most one entry a frame.
        dataset: Ground truth of these videos; it may hold more.

    Raises:
        TrovidError: If a video, a frame or all classes are unknown to the labels, a frame comes
            twice, or a box or score is not finite.
    """
    for name in predictions:
        if name not in dataset:
            some = ", ".join(video.name for video in dataset.videos[:3])
            raise TrovidError(f"video '{name}' is not in the labels, which hold {some} ...")
    if not any(predictions.values()):
        raise TrovidError("the predictions hold no frame")

    classes = _ClassMap(dataset.class_names)
    evaluated = [video for video in dataset.videos if predictions.get(video.name)]
    clip_names = tuple(video.name for video in evaluated)
    found: list[Detections] = []
    clips: list[int] = []
    rows, images = [], []
    unlabelled = 0
    for clip, video in enumerate(evaluated):
        by_index = _by_index(video.name, predictions[video.name], video.num_frames)
        for frame in by_index.values():
            classes.add(frame.class_names)
        labelled = np.intersect1d(dataset.labelled_frames(video.name), list(by_index))
        unlabelled += len(by_index) - len(labelled)
        own = dataset.rows(video.name)
        frames = dataset.objects.frames[own]
        among = np.flatnonzero(np.isin(frames, labelled))
        rows.append(own.start + among)
        images.append(len(found) + np.searchsorted(labelled, frames[among]))
        found += [by_index[index] for index in labelled.tolist()]
        clips += [clip] * len(labelled)
    if not clips:
        raise TrovidError("none of the predicted frames is labelled")
    boxes, scores, detected, detected_images = _flat_detections(found, classes, clip_names, clips)
    objects = dataset.objects[np.concatenate(rows)]
    return Pool(
        class_names=dataset.class_names,
        clip_names=clip_names,
        clips=np.array(clips),
        boxes=boxes,
        scores=scores,
        labels=detected,
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
            "unlabelled_frames_left_out": unlabelled,
            "predicted_classes_left_out": classes.strangers,
        },
    )


class _ClassMap:
    """Finds a prediction's classes among those of the labels, by name."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._index = {name: i for i, name in enumerate(class_names)}
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

    def __getitem__(self, names: tuple[str, ...]) -> NDArray[np.int64]:
        return self._maps[names]


def _by_index(name: str, frames: Sequence[Detections], num_frames: int) -> dict[int, Detections]:
    by_index: dict[int, Detections] = {}
    for frame in frames:
        if not 0 <= frame.frame_index < num_frames:
            raise TrovidError(
                f"frame {frame.frame_index} of video '{name}' does not exist: "
                f"the labels give it {num_frames} frames"
            )
        if frame.frame_index in by_index:
            raise TrovidError(f"frame {frame.frame_index} of video '{name}' was predicted twice")
        by_index[frame.frame_index] = frame
    return by_index


def _flat_detections(
    found: list[Detections], classes: _ClassMap, clip_names: tuple[str, ...], clips: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    boxes = np.concatenate([frame.boxes.detach().cpu().double().numpy() for frame in found])
    scores = np.concatenate([frame.scores.detach().cpu().double().numpy() for frame in found])
    labels = np.concatenate([classes[f.class_names][f.labels.cpu().long().numpy()] for f in found])
    images = np.repeat(np.arange(len(found)), [len(frame) for frame in found])
    bad = ~(np.isfinite(boxes).all(axis=1) & np.isfinite(scores))
    if bad.any():
        image = int(images[bad.argmax()])
        raise TrovidError(
            f"a box or score in frame {found[image].frame_index} of video "
            f"'{clip_names[clips[image]]}' is not finite"
        )
    ours = labels >= 0
    return boxes[ours], scores[ours], labels[ours], images[ours]


def _strength_edges(attributes: Mapping[str, Attribute]) -> dict[str, tuple[float, float]]:
    if not {"deterioration", "strength"} <= attributes.keys():
        return {}
    kinds, strengths = attributes["deterioration"], attributes["strength"]
    edges = {}
    for kind in sorted(set(kinds[known(kinds) & known(strengths)].tolist()) - {CLEAN}):
        own = strengths[(kinds == kind) & known(strengths)]
        low, high = np.quantile(own, [1 / 3, 2 / 3])
        edges[kind] = (float(low), float(high))
    return edges
