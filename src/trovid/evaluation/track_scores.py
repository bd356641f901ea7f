"""A control: class scores averaged along IoU tracks, an offline post-processing."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torchvision.ops import nms

from trovid.detectors.candidates import Candidates
from trovid.tracking.association import link_boxes


@dataclass(frozen=True)
class TrackSettings:
    """When a box continues a track.

    Attributes:
        iou: Overlap from one evaluated frame to the next that a track needs.
        patience: Evaluated frames that a track may miss.
    """

    iou: float = 0.5
    patience: int = 2


TRACK_SETTINGS = tuple(
    TrackSettings(iou, patience) for iou, patience in itertools.product((0.1, 0.3, 0.5), (0, 1, 3))
)


def average_along_tracks(
    frames: Sequence[Candidates],
    settings: TrackSettings = TrackSettings(),
    *,
    suppression: float = 0.5,
    objectness: float = 0.05,
) -> list[Candidates]:
    """Give every box the mean class scores of its track. It sees the whole clip at once.

    Args:
        frames: All boxes of the evaluated frames of one clip, in order of time.
        settings: When a box continues a track, to be chosen on other clips
            (`choose_track_settings`).
        suppression: IoU above which, whatever the class, the less sure of two boxes of a frame
            goes: one box an object.
        objectness: Lowest sum of class scores of a box.

    Returns:
        The boxes that are left, one a place (Tensor[N, 1, 4]), with their tracks' scores.
    """
    single = [_one_box_a_place(frame, suppression, objectness) for frame in frames]
    tracks = link_boxes(
        [frame.boxes[:, 0] for frame in single], iou=settings.iou, patience=settings.patience
    )
    if not any(len(box_tracks) for box_tracks in tracks):
        return single
    all_tracks = torch.cat(tracks)
    all_scores = torch.cat([frame.class_scores for frame in single])
    sums = all_scores.new_zeros(int(all_tracks.max()) + 1, all_scores.shape[1])
    sums = sums.index_add(0, all_tracks, all_scores)
    means = sums / torch.bincount(all_tracks)[:, None]
    return [
        dataclasses.replace(frame, class_scores=means[box_tracks])
        for frame, box_tracks in zip(single, tracks, strict=True)
    ]


def choose_track_settings(
    clips: Mapping[str, Sequence[Candidates]],
    quality: Callable[[dict[str, list[Candidates]]], float],
    *,
    settings: Sequence[TrackSettings] = TRACK_SETTINGS,
) -> TrackSettings:
    """The settings that serve the control best.

    Args:
        clips: Boxes of validation clips, never of those that the control is reported on.
        quality: What to make large, such as AP50, of the clips with averaged scores.
        settings: What to try; of equals the first wins.
    """
    return max(
        settings,
        key=lambda setting: quality(
            {name: average_along_tracks(frames, setting) for name, frames in clips.items()}
        ),
    )


def _one_box_a_place(frame: Candidates, suppression: float, objectness: float) -> Candidates:
    """The surest box of each place by the sum of its class scores."""
    boxes, scores = frame.boxes, frame.class_scores
    if boxes.shape[1] > 1:
        best = scores.argmax(1)
        boxes = boxes[torch.arange(len(boxes)), best][:, None]
    sure = scores.sum(1) >= objectness
    boxes, scores = boxes[sure], scores[sure]
    keep = nms(boxes[:, 0], scores.sum(1), suppression)
    return dataclasses.replace(frame, boxes=boxes[keep], class_scores=scores[keep])
