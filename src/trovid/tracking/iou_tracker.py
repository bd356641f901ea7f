"""Identities by the overlap of boxes from frame to frame."""

from __future__ import annotations

from dataclasses import replace

import torch

from trovid.structures import Detections
from trovid.tracking.association import BoxLinker
from trovid.tracking.places import identities_of, same_places


class IoUTracker:
    """Boxes of one class that overlap from frame to frame are one object.

    Args:
        iou: Lowest overlap of a link.
        patience: Frames for which an identity that is not seen is remembered.
    """

    def __init__(self, *, iou: float = 0.3, patience: int = 20) -> None:
        self.patience = patience
        self._linker = BoxLinker(iou=iou, patience=patience - 1)

    def update(self, detections: Detections) -> Detections:
        """See `Tracker.update`."""
        ids = self._linker.link(detections.boxes, detections.labels)
        return replace(detections, track_ids=ids)

    def remember(self, found: Detections, known: Detections) -> None:
        """See `Tracker.remember`."""
        own = found[same_places(known, found, same_class=True)]
        ids = torch.tensor(identities_of(known), dtype=torch.int64)
        self._linker.take(own.boxes, own.labels, ids)

    def begin_after(self, number: int) -> None:
        """See `Tracker.begin_after`."""
        self._linker.begin_after(number)
