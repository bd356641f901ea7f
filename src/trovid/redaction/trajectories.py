"""Where an object was from frame to frame, with the frames filled in which it was not found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

LOOKED_BACK = 5
"""Detections from which an object's motion is taken."""
SAME_OBJECT = 0.1
"""Lowest IoU of where an object would be by then and where one is found again."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One object's boxes in rising order of frames.

    Attributes:
        track_id: Its identity.
        label: Its class.
        frames: Array[N], indices of frames.
        boxes: Array[N, 4], x1 y1 x2 y2 in pixels of the source.
        scores: Array[N]; NaN where filled.
        filled: Array[N], whether a box was put in where none was found.
    """

    track_id: int
    label: int
    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    filled: NDArray[np.bool_]

    @property
    def found(self) -> Trajectory:
        """The frames in which it was found."""
        return self.rows(~self.filled)

    def rows(self, chosen: NDArray) -> Trajectory:
        """Some of its rows."""
        return replace(
            self,
            frames=self.frames[chosen],
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            filled=self.filled[chosen],
        )

    def gaps(self) -> list[tuple[int, int]]:
        """First and last frame of each stretch between two sightings without one."""
        seen = self.found.frames.tolist()
        return [(a + 1, b - 1) for a, b in pairwise(seen) if b - a > 1]

    def uncovered(self, first: int, last: int) -> int:
        """Frames of a stretch for which there is no box, found or filled."""
        within = (self.frames >= first) & (self.frames <= last)
        return last - first + 1 - int(within.sum())


def trajectory(
    track_id: int,
    label: int,
    frames: Sequence[int] | NDArray[np.int64],
    boxes: Sequence[Sequence[float]] | NDArray,
    scores: Sequence[float] | NDArray | None = None,
) -> Trajectory:
    """A trajectory of what was found, with nothing filled yet."""
    count = len(frames)
    return Trajectory(
        track_id,
        label,
        np.asarray(frames, dtype=np.int64),
        np.asarray(boxes, dtype=np.float64).reshape(count, 4),
        np.ones(count) if scores is None else np.asarray(scores, dtype=np.float64),
        np.zeros(count, dtype=np.bool_),
    )


def join_trajectories(found: Sequence[Trajectory], *, longest: int) -> list[Trajectory]:
    """Makes one of two where the second begins about where the first would be by then.

    Trackers lose an object that moves on while it is not found. A trajectory goes on in another of
    its class that begins at most `longest` missed frames after its end, if their boxes there, the
    one where it was last or would have moved to, overlap. The shortest gaps are joined first.

    Args:
        found: What was found of each object, nothing filled.
        longest: Missed frames at most.
    """
    links = []
    order = sorted(found, key=lambda track: (track.frames[0], track.track_id))
    begins = np.array([track.frames[0] for track in order])
    for place, before in enumerate(order):
        end = int(before.frames[-1])
        first = int(np.searchsorted(begins, end, side="right"))
        last = int(np.searchsorted(begins, end + longest + 1, side="right"))
        for other in range(first, last):
            after = order[other]
            if after.label != before.label:
                continue
            step = int(after.frames[0]) - end
            back = trajectory(0, 0, -after.frames[::-1], after.boxes[::-1])
            overlap = max(
                _iou(before.boxes[-1], after.boxes[0]),
                _iou(_moved(before, step), after.boxes[0]),
                _iou(before.boxes[-1], _moved(back, step)),
            )
            if overlap >= SAME_OBJECT:
                links.append((step, -overlap, place, other))
    after_of: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, place, other in sorted(links):
        if place not in after_of and other not in taken:
            after_of[place] = other
            taken.add(other)
    joined = []
    for place in range(len(order)):
        if place in taken:
            continue
        parts = [place]
        while parts[-1] in after_of:
            parts.append(after_of[parts[-1]])
        chain = [order[part] for part in parts]
        joined.append(
            replace(
                chain[0],
                frames=np.concatenate([track.frames for track in chain]),
                boxes=np.concatenate([track.boxes for track in chain]),
                scores=np.concatenate([track.scores for track in chain]),
                filled=np.concatenate([track.filled for track in chain]),
            )
        )
    return joined


def fill_gaps(
    found: Trajectory, *, longest: int, first: int, last: int, size: tuple[int, int]
) -> Trajectory:
    """Puts boxes where an object was not found: between two sightings, before and after.

    Between two sightings the box goes evenly from one to the other, in the `longest` frames after
    the one and before the other; so a gap of up to twice as many is closed, and of a longer one the
    middle stays open. Before the first sighting and after the last, for `longest` frames, the
    box spans where the object was and where it would be had it moved on as in its nearest
    detections.

    Args:
        found: What was found, nothing filled.
        longest: Frames at most on each side of a sighting.
        first: First frame that there is.
        last: Last frame that there is.
        size: Height and width of the frames; filled boxes end at their edges.

    Returns:
        The same with the filled rows.

    Example:
        >>> found = trajectory(0, 0, [3, 6], [[0, 0, 10, 10], [6, 0, 16, 10]])
        >>> whole = fill_gaps(found, longest=1, first=0, last=20, size=(10, 40))
        >>> whole.frames.tolist(), whole.filled.tolist()
        ([2, 3, 4, 5, 6, 7], [True, False, True, True, False, True])
        >>> whole.boxes[2].tolist()
        [2.0, 0.0, 12.0, 10.0]
    """
    frames: list[int] = []
    boxes: list[NDArray[np.float64]] = []
    for a, b, start, end in zip(
        found.frames[:-1].tolist(),
        found.frames[1:].tolist(),
        found.boxes[:-1],
        found.boxes[1:],
        strict=True,
    ):
        for frame in range(a + 1, b):
            if frame - a <= longest or b - frame <= longest:
                share = (frame - a) / (b - a)
                frames.append(frame)
                boxes.append((1 - share) * start + share * end)
    back = trajectory(0, 0, -found.frames[::-1], found.boxes[::-1])
    for track, sign, limit in ((found, 1, last), (back, -1, first)):
        end, box = int(track.frames[-1]), track.boxes[-1]
        for step in range(1, min(longest, sign * limit - end) + 1):
            moved = _moved(track, step)
            frames.append(sign * (end + step))
            boxes.append(np.concatenate((np.minimum(box, moved)[:2], np.maximum(box, moved)[2:])))
    if not frames:
        return found
    added = trajectory(found.track_id, found.label, frames, np.stack(boxes))
    height, width = size
    np.clip(added.boxes, 0, [width, height, width, height], out=added.boxes)
    order = np.argsort(np.concatenate((found.frames, added.frames)), kind="stable")
    count = len(added.frames)
    return Trajectory(
        found.track_id,
        found.label,
        np.concatenate((found.frames, added.frames))[order],
        np.concatenate((found.boxes, added.boxes))[order],
        np.concatenate((found.scores, np.full(count, np.nan)))[order],
        np.concatenate((found.filled, np.ones(count, dtype=np.bool_)))[order],
    )


def _moved(track: Trajectory, step: int) -> NDArray[np.float64]:
    """Its last box so many frames later, if it goes on as in its last detections."""
    start = max(0, len(track.frames) - LOOKED_BACK)
    span = track.frames[-1] - track.frames[start]
    if not span:
        return track.boxes[-1]
    centres = (track.boxes[[start, -1], :2] + track.boxes[[start, -1], 2:]) / 2
    way = (centres[1] - centres[0]) * (step / span)
    return track.boxes[-1] + np.tile(way, 2)


def _iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.maximum(sides, 0).prod())
    union = float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod()) - shared
    return shared / union if union > 0 else 0.0
