"""NAME.csv: one line a detection."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from trovid.files import GrowingFile
from trovid.runs.sinks.json import TIME_DECIMALS, detection_rows
from trovid.structures import Detections
from trovid.video.opening import Frame

COLUMNS = ("frame", "time", "class", "score", "x1", "y1", "x2", "y2", "track")


class CsvSink:
    """One line a detection, for spreadsheets and pandas."""

    wants_pictures = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self._file = GrowingFile(path)
        self._table = csv.writer(self._file, lineterminator="\n")
        self._table.writerow(COLUMNS)

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
