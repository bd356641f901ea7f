"""Identities by embeddings: the memory of MaskTrack R-CNN (Yang, Fan, Xu, ICCV 2019)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from trovid.recipes import TrackingRecipe
from trovid.structures import Detections

COSINE_SCALE, SAME_COSINE = 20.0, 0.6
"""Cosines as logits: SAME_COSINE is as likely a known object as a new one."""
FORBIDDEN = -1e9


@dataclass
class _Known:
    """What is remembered of an object: how it was when it was last seen."""

    embedding: Tensor
    box: Tensor
    label: int
    seen: int


class EmbeddingTracker:
    """Finds the known objects of a video again by embedding, score, overlap and class.

    The match of a detection with a known object is the logarithm of its probability among all
    known objects and "new", plus weighted cues (`TrackingRecipe`). By default each known object is
    matched at most once a frame, by the assignment of greatest total, where every detection may
    also be new; the detection's score then adds the same to each choice and decides nothing. With
    `repeated` it is done as the published code does: row by row, the best match decides, and an
    object that was matched before in the frame is matched again if the match is better, while
    weaker rows lose their detection.

    Args:
        settings: Weights of the cues, patience, and what may occur twice.
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
        if self.settings.repeated:
            ids = self._as_published(detections, scores)
        else:
            ids = self._assigned(detections, scores)
        rows = [row for row in _published_order(detections) if ids[row] >= 0]
        self._take(detections, ids, rows)
        track_ids = torch.tensor(ids, dtype=torch.int64)
        found = replace(detections, track_ids=track_ids, embeddings=None)
        return found if len(rows) == len(ids) else found[track_ids >= 0]

    def remember(self, detections: Detections) -> None:
        """See `Tracker.remember`."""
        assert detections.track_ids is not None
        ids = detections.track_ids.tolist()
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
        memory = torch.stack([own.embedding for own in known])
        logits = self._logits(detections.embeddings, memory)
        overlaps = F.pad(box_iou(boxes, torch.stack([own.box for own in known])), (1, 0))
        same = labels[:, None] == torch.tensor([own.label for own in known])
        same = F.pad(same.to(logits.dtype), (1, 0), value=1.0)
        scores = detections.scores.log()[:, None]
        cues = weights.score * scores + weights.iou * overlaps + weights.label * same
        return logits.log_softmax(1) + cues

    def _logits(self, embeddings: Tensor, memory: Tensor) -> Tensor:
        if self._learned:
            products = embeddings @ memory.t()
        else:
            cosines = F.normalize(embeddings, dim=1) @ F.normalize(memory, dim=1).t()
            products = COSINE_SCALE * (cosines - SAME_COSINE)
        return F.pad(products, (1, 0))

    def _assigned(self, detections: Detections, scores: Tensor) -> list[int]:
        """Each known object at most once: the assignment of greatest total."""
        names, count = self.known, len(detections)
        table = scores.new_full((count, len(names) + count), FORBIDDEN)
        table[:, : len(names)] = scores[:, 1:]
        table[torch.arange(count), len(names) + torch.arange(count)] = scores[:, 0]
        ids = [-1] * count
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(table.double().numpy(), maximize=True)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if column < len(names):
                ids[row] = names[column]
        for row in _best_first(detections):
            if ids[row] < 0:
                ids[row] = self._new()
        return ids

    def _as_published(self, detections: Detections, scores: Tensor) -> list[int]:
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
            own = detections.embeddings[row].clone(), detections.boxes[row].clone()
            self._memory[ids[row]] = _Known(*own, int(detections.labels[row]), self._time)
        old = [name for name, own in self._memory.items() if self._time - own.seen >= self.patience]
        for name in old:
            del self._memory[name]
        self._time += 1


def _published_order(detections: Detections) -> list[int]:
    """Rows by class, of one class by falling score."""
    labels, scores = detections.labels.tolist(), detections.scores.tolist()
    return sorted(range(len(labels)), key=lambda row: (labels[row], -scores[row]))


def _best_first(detections: Detections) -> list[int]:
    """Rows by falling score; of equal ones the order does not depend on that of the rows."""
    scores, labels = detections.scores.tolist(), detections.labels.tolist()
    boxes = detections.boxes.tolist()
    return sorted(range(len(scores)), key=lambda row: (-scores[row], labels[row], boxes[row]))
