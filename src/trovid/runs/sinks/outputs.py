"""Results of one video as files that appear whole: JSON, CSV, COCO results."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trovid.files import GrowingFile
from trovid.runs.sinks.writers import TIME_DECIMALS, JsonWriter, detection_rows
from trovid.structures import Detections, Video
from trovid.video.opening import Frame

CSV_COLUMNS = ("frame", "time", "class", "score", "x1", "y1", "x2", "y2", "track")


class Output(Protocol):
    """A file of results, written frame by frame; it appears under its name when published.

    All files of a video are finished before the first is published, so that a disk that becomes
    full on the way leaves none.

    Attributes:
        path: The file.
        wants_pictures: Whether `write` needs the frame's image.
        problems: What could not be carried over, one line each; complete after `finish`.
    """

    path: Path
    wants_pictures: bool
    problems: list[str]

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame."""

    def finish(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Completes the file under a hidden name."""

    def publish(self) -> None:
        """Gives the finished file its name."""

    def discard(self) -> None:
        """Removes what was written; nothing appears under the name."""


class JsonOutput:
    """NAME.json: everything, with a head; `trovid evaluate` and `--resume` read it."""

    wants_pictures = False

    def __init__(self, path: Path, video: Video, source: str, head: dict[str, Any]) -> None:
        self.path = path
        self.problems: list[str] = []
        self._writer = JsonWriter(
            path,
            model=head["model"],
            class_names=head["class_names"],
            options=head["options"],
            facts={k: v for k, v in head.items() if k not in ("model", "class_names", "options")},
        )
        self._writer.begin_video(video, source)

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame."""
        self._writer.write(detections)

    def finish(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Completes the file."""
        self._writer.end_video(complete=complete, problems=problems)
        self._writer.finish()

    def publish(self) -> None:
        """Gives the file its name."""
        self._writer.publish()

    def discard(self) -> None:
        """Removes what was written."""
        self._writer.discard()


class CsvOutput:
    """NAME.csv: one line a detection, for spreadsheets and pandas."""

    wants_pictures = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self._file = GrowingFile(path)
        self._table = csv.writer(self._file, lineterminator="\n")
        self._table.writerow(CSV_COLUMNS)

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame."""
        place = [detections.frame_index, round(detections.time, TIME_DECIMALS)]
        for row in detection_rows(detections):
            track = row.get("track", "")
            self._table.writerow([*place, row["class"], row["score"], *row["box"], track])

    def finish(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Completes the file."""
        self._file.finish()

    def publish(self) -> None:
        """Gives the file its name."""
        self._file.publish()

    def discard(self) -> None:
        """Removes what was written."""
        self._file.discard()


class CocoOutput:
    """NAME.coco.json: a list of COCO results; `image_id` is the frame's index in the video.

    `category_id` is the class's place in the model's list, from 1.
    """

    wants_pictures = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self._file = GrowingFile(path)
        self._before = "[\n"

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame."""
        for row in detections.to_coco(image_id=detections.frame_index):
            self._file.write(self._before + json.dumps(row))
            self._before = ",\n"

    def finish(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Completes the file."""
        self._file.write("[]\n" if self._before == "[\n" else "\n]\n")
        self._file.finish()

    def publish(self) -> None:
        """Gives the file its name."""
        self._file.publish()

    def discard(self) -> None:
        """Removes what was written."""
        self._file.discard()


def no_picture(detections: Detections) -> Frame:
    """A frame for outputs that want no pictures."""
    return Frame(detections.frame_index, detections.time, np.empty((0, 0, 3), np.uint8))
