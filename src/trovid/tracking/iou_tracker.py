"""Identities by the overlap of boxes, and classes by votes along them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from trovid.structures import Detections
from trovid.tracking.matching import overlaps_of
from trovid.tracking.object_memory import (
    ANY_SCORE,
    FORBIDDEN,
    LINKED_IOU,
    ObjectMemory,
    SeenObjects,
)


class IoUTracker(ObjectMemory):
    """Boxes that overlap from frame to frame are one object: of one class, or nearly the same box.

    Args:
        iou: Lowest overlap of a link.
        patience: Frames for which an identity that is not seen is remembered.
        same: IoU above which boxes are one object whatever their classes; 1 for never.
        score: See `ObjectMemory`.
    """

    def __init__(
        self,
        *,
        iou: float = LINKED_IOU,
        patience: int = 20,
        same: float = 0.7,
        score: float = ANY_SCORE,
    ) -> None:
        super().__init__(patience=patience, same=same, score=score)
        self._iou = iou

    def match_scores(self, found: Detections, votes: Tensor, known: SeenObjects) -> Tensor:
        """See `ObjectMemory.match_scores`; the overlap is the match, 0 that of "new"."""
        overlaps = overlaps_of(found.boxes, known.boxes)
        may_be = votes[:, known.votes.argmax(1)] > 0
        linked = (overlaps >= self._iou) & (may_be | (overlaps > self.same))
        return F.pad(overlaps.masked_fill(~linked, FORBIDDEN), (1, 0))
