"""Results of one video as files that appear whole: JSON, CSV, COCO results."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from trovid.data.video_io import Frame
from trovid.errors import TrovidError
from trovid.files import partial_name
from trovid.inference.writers import TIME_DECIMALS, JsonWriter, detection_rows
from trovid.structures import Detections, Video

CSV_COLUMNS = ("frame", "time", "class", "score", "x1", "y1", "x2", "y2", "track")


class Output(Protocol):
    """A file of results, written frame by frame; it appears under its name when closed.

    Attributes:
        path: The file.
        wants_pictures: Whether `write` needs the frame's image.
        problems: What could not be carried over, one line each; complete after `close`.
    """

    path: Path
    wants_pictures: bool
    problems: list[str]

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame."""

    def close(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Completes the file and gives it its name."""

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

    def close(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Completes the file."""
        self._writer.end_video(complete=complete, problems=problems)
        self._writer.close()

    def discard(self) -> None:
        """Removes what was written."""
        self._writer.discard()


class _TextOutput:
    """A text file that is renamed when it is complete."""

    wants_pictures = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self._partial = partial_name(path)
        try:
            self._file: IO[str] = self._partial.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> TrovidError:
        return TrovidError(f"cannot write {self.path}: {error.strerror}; choose another --out")

    def _end(self) -> str:
        return ""

    def close(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Completes the file."""
        try:
            self._file.write(self._end())
            self._file.close()
            self._partial.replace(self.path)
        except OSError as error:
            raise self._failure(error) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Removes what was written."""
        with suppress(OSError):
            self._file.close()
        self._partial.unlink(missing_ok=True)


class CsvOutput(_TextOutput):
    """NAME.csv: one line a detection, for spreadsheets and pandas."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._table = csv.writer(self._file, lineterminator="\n")
        self._table.writerow(CSV_COLUMNS)

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame."""
        place = [detections.frame_index, round(detections.time, TIME_DECIMALS)]
        try:
            for row in detection_rows(detections):
                track = row.get("track", "")
                self._table.writerow([*place, row["class"], row["score"], *row["box"], track])
        except OSError as error:
            raise self._failure(error) from error


class CocoOutput(_TextOutput):
    """NAME.coco.json: a list of COCO results; `image_id` is the frame's index in the video.

    `category_id` is the class's place in the model's list, from 1.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._any = False
        self._file.write("[")

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame."""
        try:
            for row in detections.to_coco(image_id=detections.frame_index):
                self._file.write((",\n" if self._any else "\n") + json.dumps(row))
                self._any = True
        except OSError as error:
            raise self._failure(error) from error

    def _end(self) -> str:
        return "\n]\n"


def no_picture(detections: Detections) -> Frame:
    """A frame for outputs that want no pictures."""
    return Frame(detections.frame_index, detections.time, np.empty((0, 0, 3), np.uint8))
