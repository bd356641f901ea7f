"""Identities by embeddings: the memory of MaskTrack R-CNN (Yang, Fan, Xu, ICCV 2019)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.recipes import TrackingRecipe
from trovid.structures import Detections
from trovid.tracking.matching import log_matches, overlaps_of
from trovid.tracking.places import found_again


@dataclass
class _Known:
    """What is remembered of an object: how it was when it was last seen."""

    embedding: Tensor
    box: Tensor
    label: int
    seen: int


class PublishedTracker:
    """Finds the known objects of a video again as the published code of MaskTrack R-CNN does.

    The match of a detection with a known object, as it was when it was last seen, is the logarithm
    of its probability among all known objects and "new", plus weighted cues (`TrackingRecipe`). Row
    by row the best match decides; an object that was matched before in the frame is matched again
    if the match is better, and weaker rows lose their detection.

    Args:
        settings: Weights of the cues and patience.
        learned: Whether inner products of the embeddings are logits, as a track head makes them;
            otherwise their cosines are.
    """

    def __init__(self, settings: TrackingRecipe | None = None, *, learned: bool = True) -> None:
        self.settings = settings or TrackingRecipe()
        self.patience = self.settings.patience
        self._learned = learned
        self._time = 0
        self._started = 0
        self._memory: dict[int, _Known] = {}

    @property
    def known(self) -> list[int]:
        """The identities in memory."""
        return list(self._memory)

    def update(self, detections: Detections) -> Detections:
        """See `Tracker.update`; the embeddings are no longer in what is returned."""
        if detections.embeddings is None:
            raise ValueError("`detections` must have `embeddings` to be tracked by, but has none")
        scores = self.match_scores(detections)
        ids = self._ids(detections, scores)
        rows = [row for row in _published_order(detections) if ids[row] >= 0]
        self._take(detections, ids, rows)
        track_ids = torch.tensor(ids, dtype=torch.int64)
        found = replace(detections, track_ids=track_ids, embeddings=None)
        return found if len(rows) == len(ids) else found[track_ids >= 0]

    def remember(self, found: Detections, known: Detections) -> None:
        """See `Tracker.remember`."""
        rows, ids = found_again(known, found, same_class=1.0)
        detections = found[rows]
        self._take(detections, ids, _published_order(detections))

    def begin_after(self, number: int) -> None:
        """See `Tracker.begin_after`."""
        self._started = max(self._started, number)

    def match_scores(self, detections: Detections) -> Tensor:
        """How well each detection matches "new" and each known object, Tensor[N, 1 + M]."""
        known = list(self._memory.values())
        boxes, labels, weights = detections.boxes, detections.labels, self.settings
        assert detections.embeddings is not None
        if not known:
            return boxes.new_zeros(len(boxes), 1)
        memory = torch.stack([track.embedding for track in known])
        matches = log_matches(detections.embeddings, memory, learned=self._learned)
        overlaps = F.pad(overlaps_of(boxes, torch.stack([track.box for track in known])), (1, 0))
        same = labels[:, None] == torch.tensor([track.label for track in known])
        same = F.pad(same.to(matches.dtype), (1, 0), value=1.0)
        scores = detections.scores.log()[:, None]
        cues = weights.score * scores + weights.iou * overlaps + weights.label * same
        return matches + cues

    def _ids(self, detections: Detections, scores: Tensor) -> list[int]:
        names, ids = self.known, [-1] * len(detections)
        best = [float("-inf")] * len(names)
        for row in _published_order(detections):
            column = int(scores[row].argmax())
            if column == 0:
                ids[row] = self._new()
            elif scores[row, column] > best[column - 1]:
                ids[row] = names[column - 1]
                best[column - 1] = float(scores[row, column])
        return ids

    def _new(self) -> int:
        self._started += 1
        return self._started - 1

    def _take(self, detections: Detections, ids: list[int], rows: list[int]) -> None:
        """Remembers some rows, later ones in place of earlier ones, and forgets what is too old."""
        assert detections.embeddings is not None
        for row in rows:
            tensors = detections.embeddings[row].clone(), detections.boxes[row].clone()
            self._memory[ids[row]] = _Known(*tensors, int(detections.labels[row]), self._time)
        old = [
            name for name, track in self._memory.items() if self._time - track.seen >= self.patience
        ]
        for name in old:
            del self._memory[name]
        self._time += 1


def _published_order(detections: Detections) -> list[int]:
    """Rows by class, of one class by falling score."""
    labels, scores = detections.labels.tolist(), detections.scores.tolist()
    return sorted(range(len(labels)), key=lambda row: (labels[row], -scores[row]))
