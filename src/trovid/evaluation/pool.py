"""Predictions and ground truth of all evaluated frames, pooled into flat arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trovid.errors import TrovidError
from trovid.structures import Detections, GroundTruth

if TYPE_CHECKING:
    from trovid.datasets.coco_vid import VideoLabels

MAX_DETECTIONS = 100


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
        true_boxes: Array[G, 4] float64.
        true_labels: Array[G].
        true_images: Array[G].
        deteriorations: Array[G] of str, or None where the labels do not tell.
        strengths: Array[G] float32, or None.
        motion_iou: Array[G] float32, or None.
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
    true_boxes: NDArray[np.float64]
    true_labels: NDArray[np.int64]
    true_images: NDArray[np.int64]
    deteriorations: NDArray[np.str_] | None
    strengths: NDArray[np.float32] | None
    motion_iou: NDArray[np.float32] | None
    strength_edges: dict[str, tuple[float, float]]
    counts: dict[str, int | list[str]]


def pool_frames(predictions: Mapping[str, Sequence[Detections]], labels: VideoLabels) -> Pool:
    """Bring predictions and labels together, frame by frame and class by class.

    Only frames that occur in `predictions` count, a frame without any detection included; of
    these, frames that the labels do not list are left out. Classes are matched by name.

    Args:
        predictions: For each video's name its frames, at most one entry a frame.
        labels: Ground truth of these videos; it may hold more.

    Raises:
        TrovidError: If a video, a frame or all classes are unknown to the labels, a frame comes
            twice, or a box or score is not finite.
    """
    known = {video.name: video for video in labels.videos}
    for name in predictions:
        if name not in known:
            some = ", ".join(list(known)[:3])
            raise TrovidError(f"video '{name}' is not in the labels, which hold {some} ...")
    if not any(predictions.values()):
        raise TrovidError("the predictions hold no frame")

    classes = _ClassMap(labels.class_names)
    clip_names = tuple(name for name in known if predictions.get(name))
    found: list[Detections] = []
    truths: list[GroundTruth] = []
    clips: list[int] = []
    labelled = _labelled_frames(labels.raw)
    unlabelled = 0
    for clip, name in enumerate(clip_names):
        truth = labels.ground_truth(name)
        frames = _by_index(name, predictions[name], known[name].num_frames)
        for index, detections in sorted(frames.items()):
            classes.add(detections.class_names)
            if (name, index) in labelled:
                found.append(detections)
                truths.append(truth[index])
                clips.append(clip)
            else:
                unlabelled += 1
    if not clips:
        raise TrovidError("none of the predicted frames is labelled")
    boxes, scores, detected, images = _flat_detections(found, classes, clip_names, clips)
    return Pool(
        class_names=tuple(labels.class_names),
        clip_names=clip_names,
        clips=np.array(clips),
        boxes=boxes,
        scores=scores,
        labels=detected,
        images=images,
        true_boxes=np.concatenate([truth.boxes.double().numpy() for truth in truths]),
        true_labels=np.concatenate([truth.labels.long().numpy() for truth in truths]),
        true_images=np.repeat(np.arange(len(truths)), [len(truth) for truth in truths]),
        deteriorations=_optional([truth.deteriorations for truth in truths], np.str_),
        strengths=_optional([truth.strengths for truth in truths], np.float32),
        motion_iou=_optional([truth.motion_iou for truth in truths], np.float32),
        strength_edges=_strength_edges(labels.raw["annotations"]),
        counts={
            "videos": len(clip_names),
            "labelled_videos": len(known),
            "frames": len(clips),
            "labelled_frames": len(labelled),
            "objects": sum(len(truth) for truth in truths),
            "detections": len(boxes),
            "unlabelled_frames_left_out": unlabelled,
            "predicted_classes_left_out": classes.strangers,
        },
    )


def _labelled_frames(raw: Mapping[str, Any]) -> set[tuple[str, int]]:
    """Names and frame indices of the images that the labels list."""
    names = {video["id"]: video["name"] for video in raw["videos"]}
    return {(names[image["video_id"]], image["frame_index"]) for image in raw["images"]}


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


def _optional(parts: Sequence, dtype: type) -> NDArray | None:
    if any(part is None for part in parts):
        return None
    return np.concatenate([np.asarray(part, dtype=dtype) for part in parts])


def _strength_edges(annotations: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    strengths: dict[str, list[float]] = {}
    for annotation in annotations:
        kind = annotation.get("deterioration", "none")
        if kind != "none" and "strength" in annotation:
            strengths.setdefault(kind, []).append(annotation["strength"])
    edges = {}
    for kind, values in sorted(strengths.items()):
        low, high = np.quantile(np.array(values, dtype=np.float32), [1 / 3, 2 / 3])
        edges[kind] = (float(low), float(high))
    return edges
