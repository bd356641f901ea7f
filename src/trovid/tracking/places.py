"""The detections of a frame that was looked at twice."""

from __future__ import annotations

from trovid.structures import Detections
from trovid.tracking.matching import overlaps_of

SAME_CLASS = 1e-3
"""What the same class is worth where boxes and scores are alike; it may have been voted for."""


def found_again(
    known: Detections, found: Detections, *, same_class: float = SAME_CLASS
) -> tuple[list[int], list[int]]:
    """Which of the detections of a frame are those that were written, each at most once.

    Args:
        known: As they were written, with `track_ids`.
        found: Those of the same frame, detected once more.
        same_class: What the class that was written is worth, beside an IoU of 1.

    Returns:
        Rows of `found` and their identities; detections that are not there again are left out.
    """
    if not len(known) or not len(found):
        return [], []
    assert known.track_ids is not None
    closeness = overlaps_of(known.boxes, found.boxes)
    closeness -= (known.scores[:, None] - found.scores).abs()
    closeness += same_class * (known.labels[:, None] == found.labels)
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(closeness.double().numpy(), maximize=True)
    return columns.tolist(), known.track_ids[rows].tolist()
