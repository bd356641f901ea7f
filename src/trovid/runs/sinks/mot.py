"""NAME.txt: one line a detection, as MOT Challenge takes results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trovid.datasets.mot import mot_lines
from trovid.files import GrowingFile
from trovid.structures import Detections
from trovid.video.opening import Frame


class MotSink:
    """Frame from 1, identity, x, y, width, height, score; classes have no place there."""

    wants_pictures = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self._file = GrowingFile(path)

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame."""
        self._file.write(mot_lines(detections))

    def finish(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Completes the file."""
        self._file.finish()

    def publish(self) -> None:
        """Gives the file its name."""
        self._file.publish()

    def discard(self) -> None:
        """Removes what was written."""
        self._file.discard()
