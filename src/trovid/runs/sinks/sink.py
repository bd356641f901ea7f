"""Sink: what every file of results offers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from trovid.structures import Detections
from trovid.video.opening import Frame


class Sink(Protocol):
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

    def finish(self, *, complete: bool, problems: Sequence[str]) -> bool | None:
        """Completes the file under a hidden name; False where it was stopped on the way."""

    def publish(self) -> None:
        """Gives the finished file its name."""

    def discard(self) -> None:
        """Removes what was written; nothing appears under the name."""
