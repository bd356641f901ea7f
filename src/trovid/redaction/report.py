"""What was covered, and the moments of a video that a person should look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trovid.redaction.trajectories import Trajectory

UNSURE = 0.5
"""Best score below which an object is worth a look."""
FEW = 3
"""Frames with less of which an object is worth a look."""
BORDER = 0.02
"""Share of a frame's side within which a box touches its edge."""
ONLY_CLASSES = (
    "Only {classes} were looked for, as whole objects. Faces and number plates are no classes of "
    "the model: where a person or a vehicle is not found, they stay visible."
)
ONLY_ASKED = "Only {classes} were looked for: whatever else the video shows stays visible."


@dataclass(frozen=True)
class Moment:
    """A stretch of a video that a person should look at.

    Attributes:
        kind: "nothing", "blank", "long gap", "appears", "disappears", "unsure", "short", "full".
        first_frame: Index of its first frame, in the source.
        last_frame: Index of its last frame.
        first_time: Seconds of the first frame, in the source.
        last_time: Seconds of the last frame.
        why: In words.
        class_name: Of the object, if it is about one.
        track: Its identity.
    """

    kind: str
    first_frame: int
    last_frame: int
    first_time: float
    last_time: float
    why: str
    class_name: str | None = None
    track: int | None = None


@dataclass(frozen=True)
class ClassFigures:
    """What was covered of one class.

    Attributes:
        class_name: Its name.
        objects: Trajectories.
        frames_found: Frames in which one was found at least.
        frames_filled: Frames in which one was filled in at least.
        boxes_found: Boxes found in all frames.
        boxes_filled: Boxes filled in.
        longest_gap: Frames of the longest stretch between two sightings of an object.
        longest_gap_seconds: Its length in time.
    """

    class_name: str
    objects: int
    frames_found: int
    frames_filled: int
    boxes_found: int
    boxes_filled: int
    longest_gap: int
    longest_gap_seconds: float


@dataclass(frozen=True)
class RedactionReport:
    """What was covered in a video.

    Attributes:
        frames: Frames that were looked at.
        covered_frames: Of them, those with something covered.
        blank_frames: Of them, those that are black because they could not be decoded.
        classes: A line a class that was looked for.
        moments: In order of time.
        note: What was not looked for.
        first_frame: Index of the first frame that was looked at, with which the covered video
            begins; frames and times of the moments are the source's.
        first_time: Its seconds.
    """

    frames: int
    covered_frames: int
    blank_frames: int
    classes: tuple[ClassFigures, ...]
    moments: tuple[Moment, ...]
    note: str
    first_frame: int = 0
    first_time: float = 0.0

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def redaction_report(
    found: Sequence[Trajectory],
    *,
    frames: Sequence[int],
    times: Sequence[float],
    size: tuple[int, int],
    class_names: Sequence[str],
    classes: Sequence[str],
    fill_gaps: int,
    blank: Iterable[int] = (),
    full: Iterable[int] = (),
) -> RedactionReport:
    """Counts what was found and filled, and picks the moments that a person should look at.

    Args:
        found: Trajectories with filled rows.
        frames: Indices of the frames that were looked at, one after the other.
        times: Their times in seconds.
        size: Height and width of the frames.
        class_names: The model's classes.
        classes: Those that were looked for.
        fill_gaps: See `Redaction`.
        blank: Frames that are black.
        full: Frames with as many detections as the model gives at most.
    """
    clock = _Clock(frames, times)
    blank = sorted(set(blank))
    moments = [
        clock.moment("blank", stretch[0], stretch[-1], "cannot be decoded for sure and is black")
        for stretch in _stretches(blank)
    ]
    moments += [
        clock.moment(
            "full", stretch[0], stretch[-1], "as many objects as are found at most: more may be"
        )
        for stretch in _stretches(sorted(set(full)))
    ]
    for trajectory in found:
        moments += _moments_of(trajectory, clock, size, class_names[trajectory.label], fill_gaps)
    if not found and len(frames):
        why = f"no {' or '.join(classes)} was found in any frame: nothing is covered"
        moments.append(clock.moment("nothing", frames[0], frames[-1], why))
    covered = {frame for trajectory in found for frame in trajectory.frames.tolist()}
    vague = any(word in name.lower() for name in class_names for word in ("face", "plate"))
    note = ONLY_ASKED if vague else ONLY_CLASSES
    return RedactionReport(
        frames=len(frames),
        covered_frames=len(covered),
        blank_frames=len(blank),
        classes=tuple(_figures(name, found, class_names, clock) for name in classes),
        moments=tuple(sorted(moments, key=lambda one: (one.first_frame, one.last_frame))),
        note=note.format(classes=", ".join(classes)),
        first_frame=clock.first,
        first_time=clock.at(clock.first) if len(frames) else 0.0,
    )


def _figures(
    name: str, found: Sequence[Trajectory], class_names: Sequence[str], clock: _Clock
) -> ClassFigures:
    trajectories = [one for one in found if class_names[one.label] == name]
    gaps = [gap for one in trajectories for gap in one.gaps()]
    longest = max(gaps, key=lambda gap: gap[1] - gap[0], default=None)
    seen = [one.found.frames.tolist() for one in trajectories]
    filled = [one.frames[one.filled].tolist() for one in trajectories]
    return ClassFigures(
        class_name=name,
        objects=len(trajectories),
        frames_found=len({frame for one in seen for frame in one}),
        frames_filled=len({frame for one in filled for frame in one}),
        boxes_found=sum(map(len, seen)),
        boxes_filled=sum(map(len, filled)),
        longest_gap=longest[1] - longest[0] + 1 if longest else 0,
        longest_gap_seconds=round(clock.missed(*longest), 3) if longest else 0.0,
    )


def _moments_of(
    trajectory: Trajectory, clock: _Clock, size: tuple[int, int], name: str, fill_gaps: int
) -> list[Moment]:
    """What is worth a look in the course of one object."""
    about = {"class_name": name, "track": trajectory.track_id}
    found = trajectory.found
    moments = []
    for first, last in trajectory.gaps():
        missed, open_frames = last - first + 1, trajectory.uncovered(first, last)
        if missed > fill_gaps:
            why = f"not found in {missed} frames"
            why += f", {open_frames} of which are not covered" if open_frames else ", all filled"
            moments.append(clock.moment("long gap", first, last, why, **about))
    begin, end = int(found.frames[0]), int(found.frames[-1])
    best = f"its best score is {found.scores.max():.2f}"
    if len(found.frames) < FEW and begin > clock.first and end < clock.last:
        why = f"found in {len(found.frames)} frame{'s' * (len(found.frames) > 1)} alone, {best}"
        return [*moments, clock.moment("short", begin, end, why, **about)]
    if begin > clock.first and not _touches(found.boxes[0], size):
        why = "found for the first time away from the border: was it there before?"
        moments.append(clock.moment("appears", begin, begin, why, **about))
    if end < clock.last and not _touches(found.boxes[-1], size):
        why = "found for the last time away from the border: is it there after?"
        moments.append(clock.moment("disappears", end, end, why, **about))
    if found.scores.max() < UNSURE:
        moments.append(clock.moment("unsure", begin, end, f"unsure: {best}", **about))
    return moments


def _touches(box: np.ndarray, size: tuple[int, int]) -> bool:
    height, width = size
    x, y = BORDER * width, BORDER * height
    return bool(box[0] <= x or box[1] <= y or box[2] >= width - x or box[3] >= height - y)


def _stretches(frames: Sequence[int]) -> list[list[int]]:
    """Frames that follow one another, together."""
    found: list[list[int]] = []
    for frame in frames:
        if found and frame == found[-1][-1] + 1:
            found[-1].append(frame)
        else:
            found.append([frame])
    return found


class _Clock:
    """The times of the frames that were looked at."""

    def __init__(self, frames: Sequence[int], times: Sequence[float]) -> None:
        self.first, self.last = (frames[0], frames[-1]) if len(frames) else (0, 0)
        self._times = times

    def at(self, frame: int) -> float:
        return round(self._times[frame - self.first], 3)

    def missed(self, first: int, last: int) -> float:
        """Seconds from a stretch's first frame to the frame behind its last one."""
        return self.at(min(last + 1, self.last)) - self.at(first)

    def moment(self, kind: str, first: int, last: int, why: str, **about: Any) -> Moment:
        return Moment(kind, first, last, self.at(first), self.at(last), why, **about)
