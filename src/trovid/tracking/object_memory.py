"""What the last frames of a video say of its objects."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trovid.structures import Detections
from trovid.tracking.class_votes import best_first, class_scores, objects_of
from trovid.tracking.matching import overlaps_of
from trovid.tracking.places import found_again

FORBIDDEN = -1e9
"""As a match: of what is never the same object."""
ANY_SCORE = float("-inf")
LINKED_IOU = 0.3
"""Lowest overlap with its expected box by which place alone links a detection to an identity."""
SIGHTINGS = 3
"""The last ones of an object, from which its motion is taken."""


@dataclass(frozen=True, eq=False)
class SeenObjects:
    """What was seen of objects in a frame, or is known of them from several.

    Attributes:
        ids: The identity of each of K objects.
        boxes: Tensor[K, 4]; of what is known from several frames, where they are expected next.
        embeddings: Tensor[K, D]; D = 0 where they are not asked for.
        votes: Tensor[K, C], scores in all classes.
    """

    ids: list[int]
    boxes: Tensor
    embeddings: Tensor
    votes: Tensor


class ObjectMemory:
    """Gives detections their identities, and identities their classes; subclasses say what matches.

    An object is known by what was seen of it in the last `patience` frames: its last box, moved on
    as its centre moved over its last three sightings, the mean of its embeddings and the sum of its
    scores in each class. Detections of several classes on one
    object are one candidate (`objects_of`), of which the surest box stays. Each known object is
    matched at most once a frame, by the assignment of greatest total, where every candidate may
    also be new. Its class is the one of the greatest sum, this frame included, so it does not
    change where a single frame is in doubt; a detection keeps its own score.

    Detections up to `score` come in afterwards (ByteTrack: Zhang et al., ECCV 2022): each may
    continue an identity of its class that no surer one continued, where it lies on its expected
    box; the others are left out.

    Args:
        patience: Frames for which an identity that is not seen is remembered.
        same: IoU above which detections of different classes are one object; 1 for never.
        score: Up to which score detections only continue identities.
    """

    def __init__(self, *, patience: int, same: float, score: float = ANY_SCORE) -> None:
        self.patience = patience
        self.same = same
        self.score = score
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
        sure, known = int((found.scores > self.score).sum()), self._known()
        ids = self._assigned(found[:sure], votes[:sure], known)
        rows = list(range(sure))
        if known is not None:
            further = self._continued(found[sure:], votes[sure:], known, taken=ids)
            rows += [sure + row for row in further]
            ids += further.values()
        found, votes = found[rows], votes[rows]
        labels = self._voted(votes, ids, known)
        self._take(found, votes, ids)
        track_ids = torch.tensor(ids, dtype=torch.int64)
        return replace(found, labels=labels, track_ids=track_ids)

    def remember(self, found: Detections, known: Detections) -> None:
        """See `Tracker.remember`."""
        candidates, votes = self._candidates(found)
        rows, ids = found_again(known, candidates)
        self._take(candidates[rows], votes[rows], ids)

    def begin_after(self, number: int) -> None:
        """See `Tracker.begin_after`."""
        self._started = max(self._started, number)

    def _candidates(self, detections: Detections) -> tuple[Detections, Tensor]:
        """The surest detection of each object, in the order of the rows, and [K, C] scores.

        Those up to `score` come last, without those that lie on a surer one.
        """
        above = detections.scores > self.score
        sure, unsure = (mask.nonzero()[:, 0] for mask in (above, ~above))
        objects = self._objects(detections, sure)
        if len(unsure):
            boxes = detections.boxes[[rows[0] for rows in objects]]
            overlaps = overlaps_of(detections.boxes[unsure], boxes)
            objects += self._objects(detections, unsure[~(overlaps > self.same).any(1)])
        surest = [rows[0] for rows in objects]
        return detections[surest], class_scores(detections, objects)

    def _objects(self, detections: Detections, rows: Tensor) -> list[list[int]]:
        objects = sorted(objects_of(detections[rows], self.same))
        return [rows[members].tolist() for members in objects]

    def _take(self, found: Detections, votes: Tensor, ids: list[int]) -> None:
        embeddings = self.embeddings_of(found).clone()
        self._frames.append(SeenObjects(ids, found.boxes.float().clone(), embeddings, votes))

    def _known(self) -> SeenObjects | None:
        """The known objects: expected boxes, means of embeddings, sums of votes; None for none."""
        frames = [frame for frame in self._frames if frame.ids]
        if not frames:
            return None
        ids = sorted({number for frame in frames for number in frame.ids})
        place = {number: row for row, number in enumerate(ids)}
        rows = torch.tensor([place[number] for frame in frames for number in frame.ids])
        embeddings = _sums(torch.cat([frame.embeddings for frame in frames]), rows, len(ids))
        means = embeddings / rows.bincount()[:, None]
        votes = _sums(torch.cat([frame.votes for frame in frames]), rows, len(ids))
        return SeenObjects(ids, self._expected_boxes(ids), means, votes)

    def _expected_boxes(self, ids: list[int]) -> Tensor:
        """Tensor[K, 4]: where objects are in the coming frame if they move on as they did."""
        seen: dict[int, list[tuple[int, Tensor]]] = {number: [] for number in ids}
        for ago, frame in enumerate(reversed(self._frames), start=1):
            for number, box in zip(frame.ids, frame.boxes, strict=True):
                if len(seen[number]) < SIGHTINGS:
                    seen[number].append((ago, box))
        last, first = ([seen[number][at] for number in ids] for at in (0, -1))
        boxes, before = (torch.stack([box for _, box in sightings]) for sightings in (last, first))
        ago, since = (
            boxes.new_tensor([frames for frames, _ in sightings])[:, None]
            for sightings in (last, first)
        )
        moved = (boxes - before).unflatten(1, (2, 2)).mean(1) / (since - ago).clamp(min=1)
        return boxes + (moved * ago).repeat(1, 2)

    def _assigned(self, found: Detections, votes: Tensor, known: SeenObjects | None) -> list[int]:
        """The identities of candidates that may be new, by the assignment of greatest total."""
        count = len(found)
        ids = [-1] * count
        if count and known is not None:
            scores = self.match_scores(found, votes, known)
            table = scores.new_full((count, len(known.ids) + count), FORBIDDEN)
            table[:, : len(known.ids)] = scores[:, 1:]
            table[:, len(known.ids) :].diagonal().copy_(scores[:, 0])
            for row, column in _greatest_total(table).items():
                if column < len(known.ids):
                    ids[row] = known.ids[column]
        for row in best_first(found):
            if ids[row] < 0:
                ids[row] = self._started
                self._started += 1
        return ids

    def _continued(
        self, found: Detections, votes: Tensor, known: SeenObjects, *, taken: list[int]
    ) -> dict[int, int]:
        """By its row the identity of each candidate that continues one which is not taken."""
        free = torch.tensor([number not in taken for number in known.ids])
        overlaps = overlaps_of(found.boxes, known.boxes)
        linked = (overlaps >= LINKED_IOU) & (votes[:, known.votes.argmax(1)] > 0) & free
        pairs = _greatest_total(torch.where(linked, overlaps, 0))
        return {row: known.ids[column] for row, column in pairs.items() if linked[row, column]}

    def _voted(self, votes: Tensor, ids: list[int], known: SeenObjects | None) -> Tensor:
        """The class of each object by what is known and what this frame says."""
        totals = votes.clone()
        places = {} if known is None else {number: place for place, number in enumerate(known.ids)}
        for row, number in enumerate(ids):
            if known is not None and number in places:
                totals[row] += known.votes[places[number]]
        return totals.argmax(1)


def _greatest_total(table: Tensor) -> dict[int, int]:
    """Which column goes with each row, so that the sum is greatest."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table.double().numpy(), maximize=True)
    return dict(zip(rows.tolist(), columns.tolist(), strict=True))


def _sums(values: Tensor, rows: Tensor, count: int) -> Tensor:
    return values.new_zeros(count, values.shape[1]).index_add_(0, rows, values)
