"""Predicted tracks against labelled ones, video by video: what the tracking protocols take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from trovid.datasets.contract import Dataset
from trovid.datasets.mot import distractors
from trovid.datasets.objects import Objects
from trovid.datasets.true_tracks import check_identities, true_tracks
from trovid.datasets.video_names import by_labels
from trovid.errors import TrovidError
from trovid.evaluation.protocols.mot import (
    THRESHOLD,
    TrackedFrame,
    TrackingCounts,
    tracking_counts,
)
from trovid.structures import Detections, Masks, Tracks
from trovid.structures.tracks import frame_identities, shape_iou

SYNONYMS = {"person": "pedestrian", "pedestrian": "person"}
"""Another name by which a predicted class is looked for among the labels'."""
MEASURED = "tracks are measured"

Predictions = Mapping[str, Sequence[Detections] | Tracks]
"""By the video's name its frames with `track_ids`, or its tracks through all frames."""


def class_places(names: Sequence[str], dataset: Dataset) -> list[int]:
    """For each predicted class its place among the labels', by name or synonym; -1 for none.

    Raises:
        TrovidError: If none of them is among the labels'.
    """
    places = {name: place for place, name in enumerate(dataset.class_names)}
    found = [places.get(n, places.get(SYNONYMS.get(n, ""), -1)) for n in names]
    if found and max(found) < 0:
        raise TrovidError(
            f"none of the predicted classes ({', '.join(names[:3])} ...) is among the labels' "
            f"({', '.join(dataset.class_names[:3])} ...)"
        )
    return found


def comparable_frames(
    found: Sequence[Detections], dataset: Dataset, name: str, *, class_agnostic: bool = False
) -> list[Detections]:
    """The predicted frames of a video that are labelled, in order, with the labels' classes.

    Detections of classes that the labels do not have are left out, unless classes do not matter.

    Raises:
        TrovidError: If a frame does not exist or comes twice, or no class is the labels'.
    """
    video = dataset.video(name)
    frames: dict[int, Detections] = {}
    labelled = set(dataset.labelled_frames(name).tolist())
    for frame in found:
        if not 0 <= frame.frame_index < video.num_frames:
            raise TrovidError(
                f"frame {frame.frame_index} of video '{name}' does not exist: "
                f"the labels give it {video.num_frames} frames"
            )
        if frame.frame_index in frames:
            raise TrovidError(f"frame {frame.frame_index} of video '{name}' was predicted twice")
        if frame.masks is not None and frame.masks.size != (video.height, video.width):
            raise TrovidError(
                f"the masks of video '{name}' are of {frame.masks.size[1]}x{frame.masks.size[0]} "
                f"pixels, but the labels give it {video.width}x{video.height}"
            )
        frames[frame.frame_index] = frame
    return [
        frames[index] if class_agnostic else _with_classes(frames[index], dataset)
        for index in sorted(frames)
        if index in labelled
    ]


def both_tracks(
    predictions: Predictions,
    dataset: Dataset,
    *,
    masks: bool = True,
    class_agnostic: bool = False,
) -> tuple[dict[str, Tracks], dict[str, Tracks]]:
    """Predicted and labelled tracks of the same frames, by the video's name.

    Of a video whose frames are given, those that are predicted and labelled count; of one whose
    tracks are given, all that are labelled. Videos without such frames are left out.

    Args:
        predictions: What was predicted.
        dataset: The labels.
        masks: Whether the tracks are of masks; else they are of boxes.
        class_agnostic: Whether all are of class 0.

    Raises:
        TrovidError: If a video is not labelled, or predictions lack identities or masks, or labels
            identities.
    """
    found, true = {}, {}
    predictions = by_labels(predictions, dataset)
    check_identities(dataset, predictions, MEASURED)
    for name, predicted in predictions.items():
        if isinstance(predicted, Tracks):
            indices = dataset.labelled_frames(name).tolist()
            tracks = replace(predicted, frames=tuple(predicted.frames[index] for index in indices))
        else:
            frames = comparable_frames(predicted, dataset, name, class_agnostic=class_agnostic)
            indices = [frame.frame_index for frame in frames]
            tracks = Tracks.from_detections(frames, masks=masks)
        if indices:
            pair = tracks, true_tracks(dataset, name, indices, masks=masks)
            if class_agnostic:
                pair = tuple(replace(t, labels=np.zeros_like(t.labels)) for t in pair)
            found[name], true[name] = pair
    if not found:
        raise TrovidError("none of the predicted frames is labelled")
    return found, true


def result_tracks(
    predictions: Mapping[str, Sequence[Detections]], dataset: Dataset
) -> dict[str, Tracks]:
    """The tracks of masks, with the labels' classes, that predictions of whole videos form.

    Unlike `both_tracks` this needs no labels beyond videos and classes.

    Args:
        predictions: By the video's name its frames, in order, with `track_ids`.
        dataset: The labels.

    Raises:
        TrovidError: If predictions lack identities or masks, or no class is the labels'.
    """
    return {
        name: Tracks.from_detections([_with_classes(frame, dataset) for frame in frames])
        for name, frames in predictions.items()
    }


def frame_objects(
    predictions: Mapping[str, Sequence[Detections]], dataset: Dataset
) -> tuple[dict[str, Tracks], dict[str, Tracks]]:
    """Predicted and labelled masks frame by frame, each a track of one frame.

    `match_tracks` of these gives COCO's AP of masks, whatever the identities.

    Raises:
        TrovidError: If a video is not labelled, or predictions or labels lack masks.
    """
    found, true = {}, {}
    for name, predicted in by_labels(predictions, dataset).items():
        for frame in comparable_frames(predicted, dataset, name):
            if len(frame) and frame.masks is None:
                raise TrovidError(f"the detections of video '{name}' have no masks")
            key = f"{name}/{frame.frame_index}"
            masks = Masks(frame.image_size) if frame.masks is None else frame.masks
            found[key] = Tracks.make(
                frame.labels.numpy(), frame.scores.double().numpy(), [(_every(masks), masks)]
            )
            true[key] = true_tracks(dataset, name, [frame.frame_index])
    return found, true


def sequence_counts(
    predictions: Mapping[str, Sequence[Detections]],
    dataset: Dataset,
    *,
    masks: bool = False,
    class_agnostic: bool = False,
) -> dict[str, dict[str, TrackingCounts]]:
    """The counts of HOTA, CLEAR and Identity of each class ("" where classes do not matter).

    Frames that are predicted and labelled count. First detections that are assigned (greatest sum
    of IoU, pairs from 0.5) to an ignored object or a crowd are taken away; with MOT Challenge only
    those on its distractors, as its protocol has it, and only classes that hold an object count.

    Args:
        predictions: By the video's name its frames with `track_ids`.
        dataset: The labels.
        masks: Whether masks overlap; else boxes do.
        class_agnostic: Whether identities are compared whatever their class.

    Returns:
        By class, then by video.

    Raises:
        TrovidError: If a video is not labelled, or predictions lack identities or masks, or labels
            identities.
    """
    predictions = by_labels(predictions, dataset)
    check_identities(dataset, predictions, MEASURED)
    challenge = dataset.info.get("name") == "MOT Challenge"
    counted = set(dataset.objects.labels[dataset.objects.counted].tolist())
    labels = [None] if class_agnostic else sorted(counted)
    names = ["" if label is None else dataset.class_names[label] for label in labels]
    counts: dict[str, dict[str, TrackingCounts]] = {name: {} for name in names}
    for video, predicted in predictions.items():
        frames = comparable_frames(predicted, dataset, video, class_agnostic=class_agnostic)
        objects = dataset.objects[dataset.rows(video)]
        forgiven = ~objects.counted
        if challenge:
            forgivable = distractors(dataset, video)
            kinds = np.array([name in forgivable for name in dataset.class_names])
            forgiven = kinds[objects.labels]
        for name, label in zip(names, labels, strict=True):
            parts = [
                _frame(frame, objects, forgiven, label, masks=masks, every_class=challenge)
                for frame in frames
            ]
            if parts:
                counts[name][video] = tracking_counts(parts)
    if not any(counts.values()):
        raise TrovidError("none of the predicted frames is labelled")
    return counts


def _frame(
    frame: Detections,
    objects: Objects,
    forgiven: NDArray[np.bool_],
    label: int | None,
    *,
    masks: bool,
    every_class: bool,
) -> TrackedFrame:
    rows, ids = frame_identities(frame, masks=masks)
    found = frame[rows]
    if label is not None:
        chosen = np.flatnonzero(found.labels.numpy() == label)
        found, ids = found[chosen.tolist()], [ids[row] for row in chosen.tolist()]
    here = objects.frames == frame.frame_index
    if label is not None and not every_class:
        here &= objects.labels == label
    true = np.flatnonzero(here)
    if masks:
        if len(true) and (objects.masks is None or not all(objects.masks[true])):
            raise TrovidError("the labels have no masks for all objects")
        codes = () if objects.masks is None else tuple(objects.masks[true])
        given = Masks(frame.image_size) if found.masks is None else found.masks
        overlaps = shape_iou(Masks(given.size, codes), given)
    else:
        overlaps = shape_iou(objects.boxes[true], found.boxes.double().numpy())
    kept = _not_forgiven(overlaps, forgiven[true])
    real = objects.counted[true] & ((label is None) | (objects.labels[true] == label))
    return TrackedFrame(
        objects.instance_ids[true[real]],
        np.array(ids, dtype=np.int64)[kept],
        overlaps[real][:, kept],
    )


def _not_forgiven(overlaps: NDArray[np.float64], forgiven: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The detections that are not assigned to a forgiven object."""
    every = np.arange(overlaps.shape[1])
    if not forgiven.any() or not len(every):
        return every
    wishes = np.where(overlaps >= THRESHOLD - np.finfo(float).eps, overlaps, 0.0)
    rows, columns = linear_sum_assignment(-wishes)
    assigned = (wishes[rows, columns] > 0) & forgiven[rows]
    return np.setdiff1d(every, columns[assigned])


def _every(masks: Masks) -> NDArray[np.int64]:
    return np.arange(len(masks))


def _with_classes(frame: Detections, dataset: Dataset) -> Detections:
    if frame.class_names == dataset.class_names:
        return frame
    known = torch.tensor(class_places(frame.class_names, dataset), dtype=torch.int64)
    labels = known[frame.labels.long()]
    kept = labels >= 0
    return replace(frame[kept], labels=labels[kept], class_names=dataset.class_names)
