"""NAME.parquet: predictions, one row a detection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trovid.runs.parquet.writing import ParquetWriter
from trovid.structures import Detections, Video
from trovid.video.opening import Frame


class ParquetSink:
    """Everything of one video, with a head; `trovid evaluate` and `trovid merge` read it."""

    wants_pictures = False

    def __init__(self, path: Path, video: Video, source: str, head: dict[str, Any]) -> None:
        self.path = path
        self.problems: list[str] = []
        self._writer = ParquetWriter(path, head=head)
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
