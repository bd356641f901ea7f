"""Detections of several classes on one object, and what a video says of its class."""

from __future__ import annotations

from torch import Tensor

from trovid.structures import Detections
from trovid.tracking.matching import overlaps_of

LEAST_VOTE = 1e-6


def objects_of(detections: Detections, iou: float) -> list[list[int]]:
    """The rows of a frame, object by object.

    A detector that is in doubt gives one object a box for each class that it may have. From the
    surest detection to the least sure one, each takes those of other classes with it that overlap
    it by more than `iou`, of a class the surest.

    Args:
        detections: Of one frame.
        iou: IoU above which detections of different classes are one object; 1 for never.

    Returns:
        For each object its rows, the surest first; each row is of one object. Of equal scores the
        order does not depend on that of the rows.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 10.0, 9.0]]).repeat(2, 1)
        >>> boxes[2:] += 30
        >>> scores, labels = torch.tensor([0.3, 0.6, 0.5, 0.1]), torch.tensor([0, 1, 0, 1])
        >>> objects_of(Detections(boxes, scores, labels, ("cat", "dog")), 0.7)
        [[1, 0], [2, 3]]
    """
    order, labels = best_first(detections), detections.labels.tolist()
    near = (overlaps_of(detections.boxes, detections.boxes) > iou).tolist()
    taken: set[int] = set()
    objects = []
    for row in order:
        if row in taken:
            continue
        members = {labels[row]: row}
        for other in order:
            if near[row][other] and other not in taken:
                members.setdefault(labels[other], other)
        taken.update(members.values())
        objects.append(list(members.values()))
    return objects


def class_scores(detections: Detections, objects: list[list[int]]) -> Tensor:
    """For each object of `objects_of` its scores in all classes, Tensor[K, C].

    They are above 0 in the classes that it was detected in, and 0 in all others.
    """
    scores = detections.scores.new_zeros(len(objects), len(detections.class_names))
    for votes, rows in zip(scores, objects, strict=True):
        votes[detections.labels[rows].long()] = detections.scores[rows].clamp(min=LEAST_VOTE)
    return scores


def best_first(detections: Detections) -> list[int]:
    """Rows by falling score; of equal ones the order does not depend on that of the rows."""
    scores, labels = detections.scores.tolist(), detections.labels.tolist()
    boxes = detections.boxes.tolist()
    return sorted(range(len(scores)), key=lambda row: (-scores[row], labels[row], boxes[row]))
