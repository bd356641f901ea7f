"""NAME.coco.json: COCO results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from trovid.files import GrowingFile
from trovid.structures import Detections
from trovid.video.opening import Frame


class CocoSink:
    """A list of COCO results; `image_id` is the frame's index in the video.

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
