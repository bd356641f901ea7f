"""What gives the detections of a video their identities, frame after frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

from trovid.recipes import TrackingRecipe
from trovid.structures import Detections
from trovid.tracking.embedding_tracker import EmbeddingTracker
from trovid.tracking.iou_tracker import IoUTracker
from trovid.tracking.object_memory import ANY_SCORE
from trovid.tracking.published_tracker import PublishedTracker


class Tracker(Protocol):
    """The memory of one video's objects, held by whoever runs the video.

    Attributes:
        patience: Frames for which an identity that is not seen is remembered.
    """

    patience: int

    def update(self, detections: Detections) -> Detections:
        """The detections of the next frame with their `track_ids`.

        Some may be left out, and classes may be others: see the trackers.
        """

    def remember(self, found: Detections, known: Detections) -> None:
        """Takes a frame whose identities are known already.

        Args:
            found: As it was detected.
            known: What became of it, with `track_ids`.
        """

    def begin_after(self, number: int) -> None:
        """The next new identity is at least this one."""


def make_tracker(
    kind: Literal["iou", "embedding"],
    settings: TrackingRecipe | None,
    *,
    learned: bool,
    score: float = ANY_SCORE,
) -> Tracker:
    """The memory for a new video.

    Args:
        kind: See `DetectOptions.track`.
        settings: None for the defaults; of "iou" `patience` and `same` count alone.
        learned: Whether a track head made the embeddings, whose inner products mean something;
            otherwise their cosine is taken.
        score: Detections up to it continue identities alone; the published memory has none.
    """
    settings = settings or TrackingRecipe()
    if kind == "iou":
        return IoUTracker(patience=settings.patience, same=settings.same, score=score)
    if settings.repeated:
        return PublishedTracker(settings, learned=learned)
    return EmbeddingTracker(settings, learned=learned, score=score)


def resume(tracker: Tracker, earlier: Sequence[Detections], again: Iterable[Detections]) -> None:
    """Puts a tracker into the state in which an interrupted run has left it.

    Args:
        tracker: New.
        earlier: All frames of that run, with `track_ids`, as they were written.
        again: Its last `tracker.patience` frames (or all), detected once more without identities.
    """
    given = [
        int(frame.track_ids.max())
        for frame in earlier
        if frame.track_ids is not None and len(frame)
    ]
    frames = {frame.frame_index: frame for frame in earlier}
    for found in again:
        tracker.remember(found, frames[found.frame_index])
    tracker.begin_after(max(given, default=-1) + 1)
