"""NAME.png: evenly spaced frames with their detections on one picture."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from trovid.files import partial_name, publish, unwritable
from trovid.structures import Detections, GroundTruth
from trovid.structures.support_sampling import evenly_spaced, evenly_thinned
from trovid.video.opening import Frame
from trovid.viz.canvas import USUAL_LABELS, LabelStyle
from trovid.viz.drawing import grid
from trovid.viz.panels import Panels

PICTURES = 12
COLUMNS = 4
PANEL_WIDTH = 480


class SheetSink:
    """Keeps a few evenly spaced pictures, the first and the last among them.

    Where another number of frames comes than was said, or none was said, the distances vary.

    Args:
        path: The PNG file.
        total: How many frames will come; None where that is not known.
        truth: Ground truth of each frame, drawn thin.
        style: How labels of objects are written.
        count: Pictures at most.
    """

    wants_pictures = True

    def __init__(
        self,
        path: Path,
        *,
        total: int | None = None,
        truth: Sequence[GroundTruth] | None = None,
        style: LabelStyle = USUAL_LABELS,
        count: int = PICTURES,
    ) -> None:
        self.path = path
        self.problems: list[str] = []
        self._count = count
        self._total = total
        self._spaced = () if total is None else evenly_spaced(total, count)
        self._panels = Panels(truth=truth, style=style)
        self._partial = partial_name(path)
        self._seen = 0
        self._held: dict[int, tuple[str, np.ndarray]] = {}

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame, which may be left out later as others come."""
        kept = {*evenly_thinned(self._seen + 1, self._count), *self._spaced}
        self._held = {place: panel for place, panel in self._held.items() if place in kept}
        if self._seen in kept:
            title = f"frame {frame.index}   {frame.time:.2f} s"
            self._held[self._seen] = (title, _smaller(self._panels.picture(frame, detections)))
        self._seen += 1

    def finish(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Writes the file."""
        whole = self._seen == self._total
        chosen = self._spaced if whole else evenly_thinned(self._seen, self._count)
        titles, pictures = zip(*(self._held[place] for place in chosen), strict=True)
        sheet = Image.fromarray(grid(pictures, titles, columns=COLUMNS))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            sheet.save(self._partial, format="PNG")
        except OSError as error:
            raise unwritable(self.path, error) from error

    def publish(self) -> None:
        """Gives the file its name."""
        publish(self._partial, self.path)

    def discard(self) -> None:
        """Removes what was written."""
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)


def _smaller(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    if width <= PANEL_WIDTH:
        return picture
    size = (PANEL_WIDTH, max(1, round(height * PANEL_WIDTH / width)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
