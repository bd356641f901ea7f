"""The tracks of a video, and how much two of them overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trovid.errors import TrovidError
from trovid.structures.detections import Detections
from trovid.structures.masks import Masks

Shapes = Masks | NDArray[np.float64]
"""Masks of a frame, or boxes [N, 4] x1 y1 x2 y2."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """K tracks through some frames of a video, each with a mask or a box where it is seen.

    Attributes:
        labels: Array[K], class of each.
        scores: Array[K].
        frames: For each frame the tracks that are seen in it (numbers in 0..K-1, each once) and
            their masks, or their boxes.
        crowd: Array[K] of bool: those that need not be found, and may be found many times.
        sizes: Array[K], mean area in pixels over the frames in which a track is seen.
    """

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    frames: tuple[tuple[NDArray[np.int64], Shapes], ...]
    crowd: NDArray[np.bool_]
    sizes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def make(
        cls,
        labels: NDArray[np.int64],
        scores: NDArray[np.float64],
        frames: Sequence[tuple[NDArray[np.int64], Shapes]],
        *,
        crowd: NDArray[np.bool_] | None = None,
        sizes: NDArray[np.float64] | None = None,
    ) -> Self:
        """Tracks whose sizes are measured where they are not given; see the attributes."""
        if sizes is None:
            sums, counts = np.zeros(len(labels)), np.zeros(len(labels))
            for tracks, shapes in frames:
                areas = shape_areas(shapes)
                sums[tracks] += areas
                counts[tracks] += areas > 0
            sizes = sums / np.maximum(counts, 1)
        if crowd is None:
            crowd = np.zeros(len(labels), dtype=np.bool_)
        return cls(labels, scores, tuple(frames), crowd, sizes)

    @classmethod
    def from_detections(cls, frames: Sequence[Detections], *, masks: bool = True) -> Self:
        """The tracks that detections with identities form.

        A track's score is the mean over the frames in which it is seen, its class the most
        frequent one (of equals the first in the model's list): Yang et al., Video Instance
        Segmentation, 2019.

        Args:
            frames: Detections of each frame, in order of time.
            masks: Whether the tracks are of masks; else they are of boxes.

        Raises:
            TrovidError: If detections have no `track_ids`, or a negative one, or one twice in a
                frame, or no masks where those are wanted.
        """
        numbers: dict[int, int] = {}
        votes: list[dict[int, int]] = []
        scores: list[list[float]] = []
        parts: list[tuple[NDArray[np.int64], Shapes]] = []
        for frame in frames:
            rows, identities = frame_identities(frame, masks=masks)
            for row, track in zip(rows, identities, strict=True):
                if numbers.setdefault(track, len(numbers)) == len(votes):
                    votes.append({})
                    scores.append([])
                label = int(frame.labels[row])
                votes[numbers[track]][label] = votes[numbers[track]].get(label, 0) + 1
                scores[numbers[track]].append(float(frame.scores[row]))
            found = np.array([numbers[track] for track in identities], dtype=np.int64)
            if masks:
                shapes = Masks(frame.image_size) if frame.masks is None else frame.masks[rows]
            else:
                shapes = frame.boxes[rows].double().numpy().reshape(-1, 4)
            parts.append((found, shapes))
        labels = [
            min(track_votes, key=lambda label: (-track_votes[label], label))
            for track_votes in votes
        ]
        return cls.make(
            np.array(labels, dtype=np.int64),
            np.array([np.mean(track_scores) for track_scores in scores], dtype=np.float64),
            parts,
        )

    def of_class(self, label: int) -> tuple[NDArray[np.int64], Self]:
        """Which tracks are of a class, and these alone."""
        kept = np.flatnonzero(self.labels == label)
        return kept, self[kept]

    def __getitem__(self, chosen: NDArray[np.int64]) -> Self:
        """Some of the tracks, in the order asked for."""
        places = np.full(len(self), -1)
        places[chosen] = np.arange(len(chosen))
        frames = []
        for tracks, shapes in self.frames:
            rows = np.flatnonzero(places[tracks] >= 0)
            frames.append((places[tracks[rows]], shapes[rows]))
        return type(self)(
            self.labels[chosen],
            self.scores[chosen],
            tuple(frames),
            self.crowd[chosen],
            self.sizes[chosen],
        )


def track_overlaps(found: Tracks, true: Tracks) -> NDArray[np.float64]:
    """Array[K, L]: sum of the intersections over the frames, over the sum of the unions.

    Args:
        found: K tracks.
        true: L tracks of the same frames.
    """
    shared = np.zeros((len(found), len(true)))
    areas = np.zeros(len(found)), np.zeros(len(true))
    for (rows, a), (columns, b) in zip(found.frames, true.frames, strict=True):
        areas[0][rows] += shape_areas(a)
        areas[1][columns] += shape_areas(b)
        if len(rows) and len(columns):
            shared[np.ix_(rows, columns)] += shape_intersections(a, b)
    union = areas[0][:, None] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def shape_areas(shapes: Shapes) -> NDArray[np.float64]:
    """Array[N], in pixels."""
    if isinstance(shapes, Masks):
        return shapes.areas.numpy().astype(np.float64)
    return (shapes[:, 2:] - shapes[:, :2]).prod(axis=1)


def shape_intersections(first: Shapes, second: Shapes) -> NDArray[np.float64]:
    """Array[N, M], in pixels."""
    if isinstance(first, Masks):
        assert isinstance(second, Masks)
        return first.intersections(second).numpy().astype(np.float64)
    assert not isinstance(second, Masks)
    ends = np.minimum(first[:, None, 2:], second[:, 2:])
    starts = np.maximum(first[:, None, :2], second[:, :2])
    return np.maximum(ends - starts, 0).prod(axis=2)


def shape_iou(first: Shapes, second: Shapes) -> NDArray[np.float64]:
    """Array[N, M], intersection over union; 0 where both are empty."""
    shared = shape_intersections(first, second)
    union = shape_areas(first)[:, None] + shape_areas(second) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def frame_identities(frame: Detections, *, masks: bool = False) -> tuple[list[int], list[int]]:
    """Rows of a frame's detections and their identities, the surest first.

    Args:
        frame: The detections.
        masks: Whether masks are wanted.

    Raises:
        TrovidError: If one has no identity (no `track_ids`, or a negative one), one is there twice,
            or they have no masks where those are wanted.
    """
    if not len(frame):
        return [], []
    if frame.track_ids is None:
        raise TrovidError(
            f"the detections of frame {frame.frame_index} have no identities: "
            "predict with `trovid segment`, or with `trovid detect --track`"
        )
    if masks and frame.masks is None:
        raise TrovidError(
            f"the detections of frame {frame.frame_index} have no masks: predict with "
            "`trovid segment`"
        )
    rows = np.argsort(-frame.scores.double().numpy(), kind="stable").tolist()
    identities = [int(frame.track_ids[row]) for row in rows]
    seen: set[int] = set()
    for track in identities:
        if track < 0:
            raise TrovidError(
                f"frame {frame.frame_index} has a detection without identity ({track}): give "
                "results of a tracker, as of `trovid segment` or `trovid detect --track`"
            )
        if track in seen:
            raise TrovidError(
                f"identity {track} is in frame {frame.frame_index} twice: keep one detection of an "
                "identity in a frame"
            )
        seen.add(track)
    return rows, identities
