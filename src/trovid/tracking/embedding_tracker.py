"""Identities by embeddings, and classes by votes along them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from trovid.recipes import TrackingRecipe
from trovid.structures import Detections
from trovid.tracking.class_votes import best_first, class_scores, objects_of
from trovid.tracking.match_logits import log_matches
from trovid.tracking.places import identities_of, same_places

FORBIDDEN = -1e9


@dataclass(frozen=True, eq=False)
class _Objects:
    """What was seen of objects in a frame, or is known of them from several.

    Attributes:
        ids: The identity of each of K objects.
        boxes: Tensor[K, 4].
        embeddings: Tensor[K, D].
        votes: Tensor[K, C], scores in all classes.
    """

    ids: list[int]
    boxes: Tensor
    embeddings: Tensor
    votes: Tensor


class EmbeddingTracker:
    """Finds the known objects of a video again by embedding, overlap and class.

    An object is known by what was seen of it in the last `patience` frames: the mean of its
    embeddings, its last box, and the sum of its scores in each class. Detections of several classes
    on one object are one candidate (`objects_of`), of which the surest box stays. The match of a
    candidate with a known object is the logarithm of its probability among all known objects and
    "new", plus weighted cues: the overlap, and the cosine of the scores in all classes. Each known
    object is matched at most once a frame, by the assignment of greatest total, where every
    candidate may also be new. Its class is the one of the greatest sum, this frame included, so it
    does not change where a single frame is in doubt.

    Args:
        settings: Weights of the cues, patience, and what is one object.
        learned: Whether inner products of the embeddings are logits, as a track head makes them;
            otherwise their cosines are.
    """

    def __init__(self, settings: TrackingRecipe | None = None, *, learned: bool = True) -> None:
        self.settings = settings or TrackingRecipe()
        self.patience = self.settings.patience
        self._learned = learned
        self._started = 0
        self._frames: deque[_Objects] = deque(maxlen=self.patience)

    def update(self, detections: Detections) -> Detections:
        """See `Tracker.update`; of an object's detections the surest is returned."""
        found, votes = self._candidates(detections)
        ids, labels = self._assigned(found, votes)
        self._take(found, votes, ids)
        track_ids = torch.tensor(ids, dtype=torch.int64)
        return replace(found, labels=labels, track_ids=track_ids, embeddings=None)

    def remember(self, found: Detections, known: Detections) -> None:
        """See `Tracker.remember`."""
        own, votes = self._candidates(found)
        rows = same_places(known, own)
        self._take(own[rows], votes[rows], identities_of(known))

    def begin_after(self, number: int) -> None:
        """See `Tracker.begin_after`."""
        self._started = max(self._started, number)

    def _candidates(self, detections: Detections) -> tuple[Detections, Tensor]:
        """The surest detection of each object, in the order of the rows, and [K, C] scores."""
        if detections.embeddings is None:
            raise ValueError("`detections` must have `embeddings` to be tracked by, but has none")
        objects = sorted(objects_of(detections, self.settings.same))
        surest = [rows[0] for rows in objects]
        return detections[surest], class_scores(detections, objects)

    def _take(self, found: Detections, votes: Tensor, ids: list[int]) -> None:
        assert found.embeddings is not None
        own = _Objects(ids, found.boxes.clone(), found.embeddings.clone(), votes)
        self._frames.append(own)

    def _known(self) -> _Objects | None:
        """The known objects: last boxes, means of embeddings, sums of votes; None for none."""
        frames = [own for own in self._frames if own.ids]
        if not frames:
            return None
        ids = sorted({number for own in frames for number in own.ids})
        place = {number: row for row, number in enumerate(ids)}
        rows = torch.tensor([place[number] for own in frames for number in own.ids])
        boxes = torch.empty(len(ids), 4)
        for own in frames:
            boxes[[place[number] for number in own.ids]] = own.boxes
        embeddings = _sums(torch.cat([own.embeddings for own in frames]), rows, len(ids))
        means = embeddings / rows.bincount()[:, None]
        votes = _sums(torch.cat([own.votes for own in frames]), rows, len(ids))
        return _Objects(ids, boxes, means, votes)

    def _assigned(self, found: Detections, votes: Tensor) -> tuple[list[int], Tensor]:
        """The identities of the candidates, by the assignment of greatest total, and classes."""
        known, count = self._known(), len(found)
        ids, totals = [-1] * count, votes.clone()
        if count and known is not None:
            scores = self._match_scores(found, votes, known)
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

    def _match_scores(self, found: Detections, votes: Tensor, known: _Objects) -> Tensor:
        """How well each candidate matches "new" and each known object, Tensor[N, 1 + M]."""
        assert found.embeddings is not None
        scores = log_matches(found.embeddings, known.embeddings, learned=self._learned)
        cosines = F.normalize(votes, dim=1) @ F.normalize(known.votes, dim=1).t()
        overlaps = box_iou(found.boxes, known.boxes)
        cues = self.settings.iou * overlaps + self.settings.label * cosines
        return scores + F.pad(cues, (1, 0))


def _sums(values: Tensor, rows: Tensor, count: int) -> Tensor:
    return values.new_zeros(count, values.shape[1]).index_add_(0, rows, values)
