"""The labelled object of a sequence, found by a detection of any class of its group.

All detections of all sequences stand in one pool, sorted by score: one is right if its class is in
the sequence's group, it overlaps the object by 0.5 and no surer one has found it. What else is
found is wrong, but for unlabelled things that are known to stand in the background.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torchvision.ops import box_iou

from trovid.datasets.contract import Dataset
from trovid.evaluation.clip_matches import ClipMatches
from trovid.evaluation.matching import ClassMatches
from trovid.structures import Detections

IOU = 0.5
NOTHING = -1


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is right in a sequence.

    Attributes:
        classes: Names by which the object may be found.
        ignored: Classes of which unlabelled things stand in the background.
        fold: The sequence that stands for it where sequences are drawn.
    """

    classes: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    fold: str = ""


@dataclass(frozen=True, kw_only=True)
class Steadiness:
    """How the object is followed at one score.

    Attributes:
        score: The lowest score that counts; None where no score is precise enough.
        recall: Share of the frames with the object in which it is found.
        misses: Share of them in which it is not.
        longest_gap: Most evaluated frames in a row with the object and without a find.
        gap_sequence: Where that was.
        class_changes: Steps at which the class that finds it changes, per 100 steps between
            frames that both find it.
    """

    score: float | None
    recall: float
    misses: float
    longest_gap: int
    gap_sequence: str
    class_changes: float


@dataclass(frozen=True, eq=False)
class ObjectMatches:
    """Detections of all sequences, best first, and what they found; those ignored are gone.

    Attributes:
        sequences: Names of the sequences.
        folds: Names of the folds.
        fold_of: Array[sequences], number of each one's fold.
        scores: Array[N].
        right: Array[N] of bool.
        sequence: Array[N], number of the sequence of each.
        label: Array[N], class of each.
        found: Array[N], the object that a right one has found; NOTHING for others.
        object_sequence: Array[G], sequence of each frame that holds its object.
        object_frame: Array[G], the frame, ascending within a sequence.
        object_rank: Array[G], which of its frame's objects it is; of one object a frame 0.
    """

    sequences: tuple[str, ...]
    folds: tuple[str, ...]
    fold_of: NDArray[np.int64]
    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    sequence: NDArray[np.int64]
    label: NDArray[np.int64]
    found: NDArray[np.int64]
    object_sequence: NDArray[np.int64]
    object_frame: NDArray[np.int64]
    object_rank: NDArray[np.int64]

    def clip_matches(self) -> ClipMatches:
        """As the bootstrap takes it: folds are drawn, all classes are one."""
        counts = np.zeros((len(self.folds), 1), dtype=np.int64)
        np.add.at(counts[:, 0], self.fold_of[self.object_sequence], 1)
        rows = np.arange(len(self.scores), dtype=np.int32)
        class_matches = ClassMatches(self.right, rows, len(self.object_frame))
        return ClipMatches(self.folds, self.fold_of[self.sequence], counts, (class_matches,))

    def precise_score(self, precision: float) -> float | None:
        """The lowest score of a right detection at which enough of all are right."""
        right = np.cumsum(self.right)
        enough = self.right & (right >= precision * np.arange(1, len(right) + 1))
        places = np.flatnonzero(enough)
        return float(self.scores[places[-1]]) if len(places) else None

    def recall_at(self, precision: float) -> float:
        """The part of the objects found at the score that gives a precision."""
        score = self.precise_score(precision)
        if score is None or not len(self.object_frame):
            return 0.0
        return float((self.right & (self.scores >= score)).sum() / len(self.object_frame))

    def found_at(self, score: float) -> float:
        """The part of the objects found at a score."""
        sure = self.right & (self.scores >= score)
        return float(sure.sum() / max(1, len(self.object_frame)))

    def steadiness(self, score: float | None) -> Steadiness:
        """Misses, gaps and changes of class along the sequences' tracks."""
        shown = np.full(len(self.object_frame), NOTHING)
        if score is not None:
            sure = self.right & (self.scores >= score)
            shown[self.found[sure]] = self.label[sure]
        order = np.lexsort((self.object_frame, self.object_rank, self.object_sequence))
        shown = shown[order]
        tracks = list(
            zip(self.object_sequence[order].tolist(), self.object_rank[order].tolist(), strict=True)
        )
        seen = shown != NOTHING
        gap, place, run = 0, "", 0
        changes = steps = 0
        for number, track in enumerate(tracks):
            first = number == 0 or tracks[number - 1] != track
            run = 0 if first else run
            run = 0 if seen[number] else run + 1
            if run > gap:
                gap, place = run, self.sequences[track[0]]
            if not first and seen[number] and seen[number - 1]:
                steps += 1
                changes += shown[number] != shown[number - 1]
        recall = float(seen.mean()) if len(seen) else 0.0
        return Steadiness(
            score=score,
            recall=recall,
            misses=1 - recall,
            longest_gap=gap,
            gap_sequence=place,
            class_changes=100 * changes / steps if steps else 0.0,
        )


def match_objects(
    found: Mapping[str, Sequence[Detections]],
    truth: Dataset,
    scenes: Mapping[str, Scene],
    *,
    frames: Mapping[str, Collection[int]] | None = None,
) -> ObjectMatches:
    """What the detections of some sequences have found.

    Args:
        found: By sequence its evaluated frames.
        truth: The labels.
        scenes: What is right in each sequence.
        frames: Of each sequence the frames that count; None for all that were evaluated.
    """
    sequences = tuple(found)
    folds = tuple(dict.fromkeys(scenes[name].fold or name for name in sequences))
    rows: list[tuple[float, bool, int, int, int]] = []
    objects: list[tuple[int, int, int]] = []
    for number, name in enumerate(sequences):
        chosen = [f for f in found[name] if frames is None or f.frame_index in frames[name]]
        chosen.sort(key=lambda frame: frame.frame_index)
        labels = truth.ground_truth(name, frames=[frame.frame_index for frame in chosen])
        for frame, known in zip(chosen, labels, strict=True):
            overlaps = box_iou(frame.boxes, known.boxes).numpy()
            rows += _judged(frame, overlaps, scenes[name], number, len(objects))
            objects += [(number, frame.frame_index, rank) for rank in range(len(known))]
    rows.sort(key=lambda row: -row[0])
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    pairs = np.array(objects, dtype=np.int64).reshape(-1, 3)
    return ObjectMatches(
        sequences,
        folds,
        np.array([folds.index(scenes[name].fold or name) for name in sequences]),
        np.array(columns[0], dtype=np.float64),
        np.array(columns[1], dtype=bool),
        np.array(columns[2], dtype=np.int64),
        np.array(columns[3], dtype=np.int64),
        np.array(columns[4], dtype=np.int64),
        pairs[:, 0],
        pairs[:, 1],
        pairs[:, 2],
    )


def _judged(
    frame: Detections, overlaps: NDArray[np.float32], scene: Scene, number: int, first: int
) -> list[tuple[float, bool, int, int, int]]:
    """Score, right, sequence, class and object found of each detection that counts."""
    rows = []
    free = overlaps.copy()
    labels, scores = frame.labels.tolist(), frame.scores.tolist()
    for row in sorted(range(len(frame)), key=lambda row: -scores[row]):
        name = frame.class_names[labels[row]]
        best = int(free[row].argmax()) if free.shape[1] else NOTHING
        if best != NOTHING and name in scene.classes and free[row, best] >= IOU:
            free[:, best] = -1.0
            rows.append((scores[row], True, number, labels[row], first + best))
        elif name not in scene.ignored:
            rows.append((scores[row], False, number, labels[row], NOTHING))
    return rows
