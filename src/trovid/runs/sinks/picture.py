"""NAME.png: a single picture with its detections drawn into it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from trovid.files import partial_name, publish, unwritable
from trovid.structures import Detections
from trovid.video.opening import Frame
from trovid.viz.panels import Panels


class PictureSink:
    """Draws the one frame of an image file.

    Args:
        path: The PNG file.
        panels: How the picture is put together.
    """

    wants_pictures = True

    def __init__(self, path: Path, *, panels: Panels) -> None:
        self.path = path
        self.problems: list[str] = []
        self._panels = panels
        self._partial = partial_name(path)
        self._picture: Image.Image | None = None

    def write(self, frame: Frame, detections: Detections) -> None:
        """Takes the frame."""
        self._picture = Image.fromarray(self._panels.picture(frame, detections))

    def finish(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Writes the file."""
        assert self._picture is not None
        try:
            self._picture.save(self._partial, format="PNG")
        except OSError as error:
            raise unwritable(self.path, error) from error

    def publish(self) -> None:
        """Gives the file its name."""
        publish(self._partial, self.path)

    def discard(self) -> None:
        """Removes what was written."""
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)
