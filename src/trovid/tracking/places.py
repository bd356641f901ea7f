"""The detections of a frame that was looked at twice."""

from __future__ import annotations

from torchvision.ops import box_iou

from trovid.structures import Detections


def same_places(known: Detections, found: Detections, *, same_class: bool = False) -> list[int]:
    """For each of the known detections the row of the same one among those found again.

    Args:
        known: As they were written.
        found: Those of the same frame, detected once more.
        same_class: Whether a detection has the class that was written.
    """
    if not len(known) or not len(found):
        return []
    closeness = box_iou(known.boxes, found.boxes)
    closeness = closeness - (known.scores[:, None] - found.scores).abs()
    if same_class:
        closeness = closeness - (known.labels[:, None] != found.labels).float()
    return closeness.argmax(1).tolist()


def identities_of(known: Detections) -> list[int]:
    """Of detections that were written, which have none where there are no detections."""
    return [] if known.track_ids is None else known.track_ids.tolist()
