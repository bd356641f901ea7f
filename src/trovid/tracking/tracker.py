"""What gives the detections of a video their identities, frame after frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, Protocol

from torchvision.ops import box_iou

from trovid.recipes import TrackingRecipe
from trovid.structures import Detections
from trovid.tracking.embedding_tracker import EmbeddingTracker
from trovid.tracking.iou_tracker import IoUTracker


class Tracker(Protocol):
    """The memory of one video's objects, held by whoever runs the video.

    Attributes:
        patience: Frames for which an identity that is not seen is remembered.
    """

    patience: int

    def update(self, detections: Detections) -> Detections:
        """The detections of the next frame with their `track_ids`."""

    def remember(self, detections: Detections) -> None:
        """Takes a frame whose identities are known already."""

    def begin_after(self, number: int) -> None:
        """The next new identity is at least this one."""


def make_tracker(
    kind: Literal["iou", "embedding"], settings: TrackingRecipe | None, *, learned: bool
) -> Tracker:
    """The memory for a new video.

    Args:
        kind: See `DetectOptions.track`.
        settings: Of "embedding"; None for the defaults.
        learned: Whether a track head made the embeddings, whose inner products mean something;
            otherwise their cosine is taken.
    """
    settings = settings or TrackingRecipe()
    if kind == "iou":
        return IoUTracker(patience=settings.patience)
    return EmbeddingTracker(settings, learned=learned)


def resume(tracker: Tracker, earlier: Sequence[Detections], again: Iterable[Detections]) -> None:
    """Puts a tracker into the state in which an interrupted run has left it.

    Args:
        tracker: New.
        earlier: All frames of that run, with `track_ids`, as they were written.
        again: Its last `tracker.patience` frames (or all), detected once more without identities.
    """
    given = [int(own.track_ids.max()) for own in earlier if own.track_ids is not None and len(own)]
    frames = {own.frame_index: own for own in earlier}
    for found in again:
        known = frames[found.frame_index]
        chosen = found[_same_boxes(known, found)]
        ids = known.boxes.new_zeros(0).long() if known.track_ids is None else known.track_ids
        tracker.remember(replace(chosen, track_ids=ids[: len(chosen)]))
    tracker.begin_after(max(given, default=-1) + 1)


def _same_boxes(known: Detections, found: Detections) -> list[int]:
    """For each of the known detections the row of the same one among those found again."""
    if not len(known) or not len(found):
        return []
    overlaps = box_iou(known.boxes, found.boxes)
    overlaps = overlaps - (known.labels[:, None] != found.labels).float()
    closeness = overlaps - (known.scores[:, None] - found.scores).abs()
    return closeness.argmax(1).tolist()
