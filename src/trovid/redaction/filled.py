"""What was found in a video with its gaps filled, and what was filled in by frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trovid.redaction.found import FoundObjects
from trovid.redaction.trajectories import Trajectory, fill_gaps, join_trajectories
from trovid.runs.sinks.json import BOX_DECIMALS


def filled_trajectories(
    found: FoundObjects, *, longest: int, size: tuple[int, int]
) -> list[Trajectory]:
    """The trajectories of a video: joined where one goes on in another, and filled.

    Args:
        found: What was found, in at least one frame.
        longest: See `fill_gaps`.
        size: Height and width of the frames.
    """
    first, last = found.frames[0], found.frames[-1]
    return [
        fill_gaps(trajectory, longest=longest, first=first, last=last, size=size)
        for trajectory in join_trajectories(found.trajectories(), longest=longest)
    ]


class FilledBoxes:
    """The boxes that were filled in, by frame.

    Args:
        trajectories: With filled rows.
    """

    def __init__(self, trajectories: Sequence[Trajectory]) -> None:
        parts = [trajectory.rows(trajectory.filled) for trajectory in trajectories]
        frames = np.concatenate([np.zeros(0, np.int64), *(part.frames for part in parts)])
        boxes = np.concatenate([np.zeros((0, 4)), *(part.boxes for part in parts)])
        counts = [len(part.frames) for part in parts]
        owners = np.array([(part.track_id, part.label) for part in parts], dtype=np.int64)
        order = np.argsort(frames, kind="stable")
        self._frames, self._boxes = frames[order], boxes[order]
        self._owners = np.repeat(owners.reshape(-1, 2), counts, axis=0)[order]

    def boxes(self, frame: int) -> list[list[float]]:
        """Those of a frame."""
        return self._boxes[self._rows(frame)].tolist()

    def records(self, frame: int, class_names: Sequence[str]) -> list[dict[str, Any]]:
        """The same as JSON holds them."""
        rows = self._rows(frame)
        owners, boxes = self._owners[rows].tolist(), self._boxes[rows].tolist()
        return [
            {
                "class": class_names[label],
                "label": label,
                "box": [round(edge, BOX_DECIMALS) for edge in box],
                "track": track,
                "filled": True,
            }
            for (track, label), box in zip(owners, boxes, strict=True)
        ]

    def _rows(self, frame: int) -> slice:
        first, last = np.searchsorted(self._frames, [frame, frame + 1])
        return slice(int(first), int(last))
