"""A strip under the video: the score of each object over time."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from trovid.structures import Detections
from trovid.tracking.association import BoxLinker
from trovid.viz.canvas import fitted
from trovid.viz.colours import WHITE, Colour, class_colour, readable
from trovid.viz.drawing import PAPER

GRID = (62, 62, 62)
FAINT = (150, 150, 150)


class Timeline:
    """Scores of the tracks up to the frame shown, with a cursor at its time.

    Detections without track ids are linked by class and overlap for the drawing.

    Args:
        width: Width of the video in pixels.
        height: Height of the video in pixels; the strip takes about a sixth of it.
        start: Time of the strip's left edge, in seconds.
        end: Time of its right edge.
        lowest: Score at its lower edge.

    Attributes:
        height: Height of the strip in pixels, even.
    """

    def __init__(
        self, width: int, height: int, *, start: float, end: float, lowest: float = 0.0
    ) -> None:
        self.height = max(36, height // 6) // 2 * 2
        self._text = max(8, self.height // 7)
        self._line = max(1, self.height // 50)
        self._span = (start, max(end, start + 1e-6))
        self._lowest = min(lowest, 0.95)
        self._linker = BoxLinker(iou=0.3)
        self._last: dict[int, tuple[float, float]] = {}
        self._legend: dict[str, int] = {}
        self._canvas = Image.new("RGB", (width, self.height), PAPER)
        self._pen = ImageDraw.Draw(self._canvas)
        self._top, self._bottom = self._text + 4, self.height - self._text - 4
        for share in (0.0, 0.5, 1.0):
            y = self._bottom - share * (self._bottom - self._top)
            self._pen.line((0, y, width, y), fill=GRID)
            score = self._lowest + share * (1 - self._lowest)
            self._write((2, y), f"{score:.2f}".rstrip("0").rstrip("."), "lb", FAINT)
        self._write((2, self.height - 1), _clock(start), "lb", FAINT)
        self._write((width - 2, self.height - 1), _clock(end), "rb", FAINT)

    def under(self, picture: np.ndarray, detections: Detections) -> np.ndarray:
        """The picture with the strip under it.

        Args:
            picture: uint8 [H, W, 3] of the video's width.
            detections: Those of the frame; frames are given in order of time.

        Returns:
            uint8 [H + height, W, 3].
        """
        x = self._x(detections.time)
        tracks = detections.track_ids
        if tracks is None:
            tracks = self._linker.link(detections.boxes, detections.labels)
        rows = zip(
            tracks.tolist(), detections.labels.tolist(), detections.scores.tolist(), strict=True
        )
        before, self._last = self._last, {}
        for track, label, score in rows:
            name = detections.class_names[label]
            colour = readable(class_colour(name, detections.class_names))
            self._name(name, colour)
            y = self._y(score)
            self._pen.line(
                (*before.get(track, (x - 1, y)), x, y),
                fill=colour,
                width=self._line,
            )
            self._last[track] = (x, y)
        strip = self._canvas.copy()
        ImageDraw.Draw(strip).line((x, 0, x, self.height), fill=WHITE, width=self._line)
        return np.concatenate([picture, np.asarray(strip)])

    def _x(self, time: float) -> float:
        start, end = self._span
        share = min(max((time - start) / (end - start), 0.0), 1.0)
        return share * (self._canvas.width - 1)

    def _y(self, score: float) -> float:
        share = (score - self._lowest) / (1 - self._lowest)
        return self._bottom - min(max(share, 0.0), 1.0) * (self._bottom - self._top)

    def _name(self, name: str, colour: Colour) -> None:
        """Puts a class into the legend when it first comes, as long as there is room."""
        if name in self._legend:
            return
        left = max(self._legend.values(), default=2 * self._text)
        font, text = fitted(name, self._text, self._canvas.width)
        right = round(left + font.getlength(text) + self._text)
        if right > self._canvas.width:
            right = self._canvas.width + 1
        else:
            self._pen.text((left, 1), text, font=font, fill=colour)
        self._legend[name] = right

    def _write(
        self, place: tuple[float, float], text: str, anchor: str, colour: tuple[int, int, int]
    ) -> None:
        font, text = fitted(text, self._text, self._canvas.width)
        self._pen.text(place, text, font=font, fill=colour, anchor=anchor)


def _clock(seconds: float) -> str:
    """A time as people write it.

    Example:
        >>> _clock(7.25), _clock(75), _clock(3723)
        ('7.2 s', '1:15', '1:02:03')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
