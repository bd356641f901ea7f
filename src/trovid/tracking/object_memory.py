"""What the last frames of a video say of its objects."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trovid.structures import Detections
from trovid.tracking.class_votes import best_first, class_scores, objects_of
from trovid.tracking.places import found_again

FORBIDDEN = -1e9
"""As a match: of what is never the same object."""


@dataclass(frozen=True, eq=False)
class SeenObjects:
    """What was seen of objects in a frame, or is known of them from several.

    Attributes:
        ids: The identity of each of K objects.
        boxes: Tensor[K, 4].
        embeddings: Tensor[K, D]; D = 0 where they are not asked for.
        votes: Tensor[K, C], scores in all classes.
    """

    ids: list[int]
    boxes: Tensor
    embeddings: Tensor
    votes: Tensor


class ObjectMemory:
    """Gives detections their identities, and identities their classes; subclasses say what matches.

    An object is known by what was seen of it in the last `patience` frames: its last box, the mean
    of its embeddings and the sum of its scores in each class. Detections of several classes on one
    object are one candidate (`objects_of`), of which the surest box stays. Each known object is
    matched at most once a frame, by the assignment of greatest total, where every candidate may
    also be new. Its class is the one of the greatest sum, this frame included, so it does not
    change where a single frame is in doubt; a detection keeps its own score.

    Args:
        patience: Frames for which an identity that is not seen is remembered.
        same: IoU above which detections of different classes are one object; 1 for never.
    """

    def __init__(self, *, patience: int, same: float) -> None:
        self.patience = patience
        self.same = same
        self._started = 0
        self._frames: deque[SeenObjects] = deque(maxlen=patience)

    def embeddings_of(self, found: Detections) -> Tensor:
        """What is remembered of the looks of N candidates, Tensor[N, D]; here nothing."""
        return found.boxes.new_zeros(len(found), 0)

    def match_scores(self, found: Detections, votes: Tensor, known: SeenObjects) -> Tensor:
        """How well each candidate matches "new" and each known object, Tensor[N, 1 + M].

        Args:
            found: N candidates.
            votes: Tensor[N, C] of their scores in all classes.
            known: M objects.
        """
        raise NotImplementedError

    def update(self, detections: Detections) -> Detections:
        """See `Tracker.update`: of each object its surest detection, under the class voted for."""
        found, votes = self._candidates(detections)
        ids, labels = self._assigned(found, votes)
        self._take(found, votes, ids)
        track_ids = torch.tensor(ids, dtype=torch.int64)
        return replace(found, labels=labels, track_ids=track_ids)

    def remember(self, found: Detections, known: Detections) -> None:
        """See `Tracker.remember`."""
        own, votes = self._candidates(found)
        rows, ids = found_again(known, own)
        self._take(own[rows], votes[rows], ids)

    def begin_after(self, number: int) -> None:
        """See `Tracker.begin_after`."""
        self._started = max(self._started, number)

    def _candidates(self, detections: Detections) -> tuple[Detections, Tensor]:
        """The surest detection of each object, in the order of the rows, and [K, C] scores."""
        objects = sorted(objects_of(detections, self.same))
        surest = [rows[0] for rows in objects]
        return detections[surest], class_scores(detections, objects)

    def _take(self, found: Detections, votes: Tensor, ids: list[int]) -> None:
        embeddings = self.embeddings_of(found).clone()
        self._frames.append(SeenObjects(ids, found.boxes.float().clone(), embeddings, votes))

    def _known(self) -> SeenObjects | None:
        """The known objects: last boxes, means of embeddings, sums of votes; None for none."""
        frames = [own for own in self._frames if own.ids]
        if not frames:
            return None
        ids = sorted({number for own in frames for number in own.ids})
        place = {number: row for row, number in enumerate(ids)}
        rows = torch.tensor([place[number] for own in frames for number in own.ids])
        boxes = frames[-1].boxes.new_empty(len(ids), 4)
        for own in frames:
            boxes[[place[number] for number in own.ids]] = own.boxes
        embeddings = _sums(torch.cat([own.embeddings for own in frames]), rows, len(ids))
        means = embeddings / rows.bincount()[:, None]
        votes = _sums(torch.cat([own.votes for own in frames]), rows, len(ids))
        return SeenObjects(ids, boxes, means, votes)

    def _assigned(self, found: Detections, votes: Tensor) -> tuple[list[int], Tensor]:
        """The identities of the candidates, by the assignment of greatest total, and classes."""
        known, count = self._known(), len(found)
        ids, totals = [-1] * count, votes.clone()
        if count and known is not None:
            scores = self.match_scores(found, votes, known)
            table = scores.new_full((count, len(known.ids) + count), FORBIDDEN)
            table[:, : len(known.ids)] = scores[:, 1:]
            table[:, len(known.ids) :].diagonal().copy_(scores[:, 0])
            from scipy.optimize import linear_sum_assignment

            rows, columns = linear_sum_assignment(table.double().numpy(), maximize=True)
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                if column < len(known.ids):
                    ids[row] = known.ids[column]
                    totals[row] += known.votes[column]
        for row in best_first(found):
            if ids[row] < 0:
                ids[row] = self._started
                self._started += 1
        return ids, totals.argmax(1)


def _sums(values: Tensor, rows: Tensor, count: int) -> Tensor:
    return values.new_zeros(count, values.shape[1]).index_add_(0, rows, values)
