"""What was found in a video, kept compactly until the whole video was looked at."""

from __future__ import annotations

import tempfile
from array import array
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from trovid.files import unwritable
from trovid.redaction.trajectories import Trajectory, trajectory
from trovid.structures import Detections, Masks


class FoundObjects:
    """The detections of one video in order of time: 40 bytes each, masks in a file.

    Args:
        folder: Where masks wait.

    Attributes:
        frames: Indices of the frames that were looked at.
        times: Their times in seconds.
    """

    def __init__(self, folder: Path) -> None:
        self.frames = array("q")
        self.times = array("d")
        self._folder = folder
        self._starts = array("q", [0])
        self._tracks = array("q")
        self._labels = array("i")
        self._scores = array("f")
        self._boxes = array("f")
        self._ends = array("q", [0])
        self._masks = None
        self._names: tuple[str, ...] = ()
        self._size = (0, 0)

    def __len__(self) -> int:
        return len(self.frames)

    def add(self, detections: Detections) -> None:
        """Adds a frame, whose detections have `track_ids`.

        Raises:
            TrovidError: If masks cannot be kept.
        """
        self._names, self._size = detections.class_names, detections.image_size
        self.frames.append(detections.frame_index)
        self.times.append(detections.time)
        if len(detections):
            assert detections.track_ids is not None
            self._tracks.extend(detections.track_ids.tolist())
            self._labels.extend(detections.labels.tolist())
            self._scores.extend(detections.scores.tolist())
            self._boxes.extend(detections.boxes.flatten().tolist())
            if detections.masks is not None:
                self._keep(detections.masks)
        self._starts.append(len(self._labels))

    def detections(self, place: int) -> Detections:
        """The detections of the frame that was added at this place."""
        first, last = self._starts[place], self._starts[place + 1]
        count = last - first
        masks = None
        if self._masks is not None and count:
            masks = Masks(self._size, tuple(map(self._mask, range(first, last))))
        tracks = torch.tensor(self._tracks[first:last].tolist(), dtype=torch.int64)
        boxes = torch.tensor(self._boxes[4 * first : 4 * last].tolist(), dtype=torch.float32)
        return Detections(
            boxes=boxes.reshape(-1, 4),
            scores=torch.tensor(self._scores[first:last].tolist(), dtype=torch.float32),
            labels=torch.tensor(self._labels[first:last].tolist(), dtype=torch.int64),
            class_names=self._names,
            frame_index=self.frames[place],
            time=self.times[place],
            image_size=self._size,
            track_ids=tracks if count else None,
            masks=masks,
        )

    def trajectories(self) -> list[Trajectory]:
        """The path of each identity; its class is the most frequent one of its detections.

        Of two detections of one identity in a frame the surer one counts.
        """
        tracks, scores = np.array(self._tracks), np.array(self._scores, dtype=np.float64)
        counts = np.diff(np.array(self._starts))
        frames = np.repeat(np.array(self.frames, dtype=np.int64), counts)
        boxes = np.array(self._boxes, dtype=np.float64).reshape(-1, 4)
        labels = np.array(self._labels)
        order = np.lexsort((-scores, frames, tracks))
        found = []
        starts = np.flatnonzero(np.diff(tracks[order], prepend=tracks[order[:1]] - 1))
        for rows in np.split(order, starts[1:]) if len(order) else []:
            kept = rows[np.diff(frames[rows], prepend=-1) > 0]
            label = Counter(labels[kept].tolist()).most_common(1)[0][0]
            number = int(tracks[kept[0]])
            found.append(trajectory(number, label, frames[kept], boxes[kept], scores[kept]))
        return found

    def close(self) -> None:
        """Lets go of the masks."""
        if self._masks is not None:
            self._masks.close()

    def _keep(self, masks: Masks) -> None:
        try:
            if self._masks is None:
                self._masks = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
            self._masks.seek(self._ends[-1])
            for code in masks.counts:
                self._masks.write(code)
                self._ends.append(self._ends[-1] + len(code))
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def _mask(self, row: int) -> bytes:
        assert self._masks is not None
        self._masks.seek(self._ends[row])
        return self._masks.read(self._ends[row + 1] - self._ends[row])
