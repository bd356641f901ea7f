"""A picture being drawn on: boxes, and labels that keep clear of what they would cover."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from trovid.errors import OptionError
from trovid.viz.colours import BLACK, WHITE, Colour, ink_on

Rectangle = tuple[int, int, int, int]
Rectangles = NDArray[np.int64]

SMALLEST_TEXT = 8
LABEL_SIZES = (4, 400)
COVERABLE = 12
"""A label may lie on an object of so many times its area; smaller ones it leaves free."""
RINGS = 6
"""How many lines of text away from its box a label may lie where there is no room beside it."""


@dataclass(frozen=True)
class LabelStyle:
    """How labels of objects are written.

    Attributes:
        shown: Whether there are any.
        size: Height of the text in pixels; None to let it grow with the picture.

    Raises:
        OptionError: If the size lies outside 4..400, or is given where there are no labels.
    """

    shown: bool = True
    size: int | None = None

    def __post_init__(self) -> None:
        lowest, highest = LABEL_SIZES
        if self.size is not None and not lowest <= self.size <= highest:
            raise OptionError(f"`label_size` must lie in {lowest}..{highest}, but is {self.size}")
        if self.size is not None and not self.shown:
            raise OptionError(
                "`label_size` is that of labels, which `no_labels` leaves out: give one of them"
            )


USUAL_LABELS = LabelStyle()


class Canvas:
    """A picture being drawn on, which remembers where its labels and small objects lie.

    Args:
        image: uint8 [H, W, 3]; it stays as it is.
        style: How labels are written.
        objects: Boxes of all objects: those that are small are not covered by labels.
    """

    def __init__(
        self,
        image: np.ndarray,
        style: LabelStyle = USUAL_LABELS,
        objects: Sequence[Sequence[float]] = (),
    ) -> None:
        self.picture = Image.fromarray(image)
        self.pen = ImageDraw.Draw(self.picture)
        shorter = min(self.picture.size)
        self.line = max(2, round(shorter / 180))
        self.thin = max(1, round(shorter / 480))
        self.text_size = style.size or max(10, round(shorter / 36))
        self.labelled = style.shown
        self.taken: list[Rectangle] = []
        self._objects = _rectangles([self._around(box) for box in objects])

    def outline(self, box: Sequence[float], colour: Colour) -> None:
        """A box in colour, black around it and white within, one of which shows anywhere."""
        left, top, right, bottom = self._pixels(box)
        thin, inner = self.thin, self.line
        around = (left - thin, top - thin, right + thin, bottom + thin)
        self.pen.rectangle(around, outline=BLACK, width=thin)
        if min(right - left, bottom - top) > 4 * (inner + thin):
            within = (left + inner, top + inner, right - inner, bottom - inner)
            self.pen.rectangle(within, outline=WHITE, width=thin)
        self.pen.rectangle((left, top, right, bottom), outline=colour, width=inner)

    def dashes(self, box: Sequence[float]) -> None:
        """A box in thin white dashes on black."""
        left, top, right, bottom = self._pixels(box)
        dash, half = 5 * self.thin, self.thin
        edge = (left - half, top - half, right + half, bottom + half)
        self.pen.rectangle(edge, outline=BLACK, width=3 * self.thin)
        for x in range(left, right + 1, 2 * dash):
            end = min(x + dash - 1, right)
            for y in (top, bottom - half + 1):
                self.pen.rectangle((x, y, end, y + half - 1), fill=WHITE)
        for y in range(top, bottom + 1, 2 * dash):
            end = min(y + dash - 1, bottom)
            for x in (left, right - half + 1):
                self.pen.rectangle((x, y, x + half - 1, end), fill=WHITE)

    def label(
        self, box: Sequence[float], text: str, colour: Colour, *, below: bool = False
    ) -> None:
        """Text on a ground of its colour, at the best free place near the box.

        Where small objects leave no room there, it lies further away at the end of a line; where
        there is none at all, it is left out.
        """
        if not self.labelled:
            return
        font, text, width, height = self._fitted(text)
        pixels = self._pixels(box)
        place = self._place(pixels, width, height, below)
        if place is None:
            place = self._further(pixels, width, height)
            if place is None:
                return
            self._join(place, pixels, colour)
        self._write(place, text, font, colour)

    def tag(
        self, place: tuple[float, float], text: str, colour: Colour, box: Sequence[float]
    ) -> None:
        """Text on a ground of its colour, its lower left corner here, or as near as may be.

        Where it would cover a small object it is placed as a label of its box.
        """
        if not self.labelled:
            return
        font, fit, width, height = self._fitted(text)
        x, y = round(place[0]), round(place[1]) - height
        places = self._clamped([(x, y)], width, height)
        if self._covers_small(places)[0]:
            self.label(box, text, colour)
        else:
            self._write(_rectangle(places[0]), fit, font, colour)

    def _fitted(self, text: str) -> tuple[ImageFont.FreeTypeFont, str, int, int]:
        """The font, the text, and the width and height of its ground."""
        margin = max(1, self.text_size // 6)
        font, text = fitted(text, self.text_size, self.picture.width - 2 * margin)
        ascent, descent = font.getmetrics()
        return font, text, round(font.getlength(text)) + 2 * margin, ascent + descent

    def _write(
        self, place: Rectangle, text: str, font: ImageFont.FreeTypeFont, colour: Colour
    ) -> None:
        self.taken.append(place)
        self.pen.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=colour)
        margin = max(1, self.text_size // 6)
        self.pen.text((place[0] + margin, place[1]), text, font=font, fill=ink_on(colour))

    def _place(self, box: Rectangle, width: int, height: int, below: bool) -> Rectangle | None:
        """The best place beside the box or in it; None where each covers a small object."""
        left, top, right, bottom = box
        flush = right + 1 - width
        outside = [(left, top - height), (flush, top - height)]
        under = [(left, bottom + 1), (flush, bottom + 1)]
        inside = [(left, top), (left, bottom + 1 - height), (flush, top)]
        beside = [(right + 1, top), (left - width, top)]
        order = under + outside if below else outside + under
        places = self._clamped(order + inside + beside, width, height)
        free = places[~self._covers_small(places)]
        return _rectangle(free[self._crowded(free).argmin()]) if len(free) else None

    def _further(self, box: Rectangle, width: int, height: int) -> Rectangle | None:
        """The nearest free place further away; None where there is none."""
        left, top, right, bottom = box
        corners: list[tuple[int, int]] = []
        for ring in range(1, RINGS + 1):
            away = ring * height
            columns = (left, right + 1 - width, right + 1 + away, left - width - away)
            rows = (top - height - away, bottom + 1 + away, top, bottom + 1 - height)
            corners += [(x, y) for y in rows for x in columns]
        places = self._clamped(corners, width, height)
        free = places[~self._covers_small(places) & (self._crowded(places) == 0)]
        return _rectangle(free[0]) if len(free) else None

    def _covers_small(self, places: Rectangles) -> NDArray[np.bool_]:
        """For each place whether it would cover a small object."""
        small = _areas(self._objects) < COVERABLE * _areas(places)[:, None]
        return np.any(small & (_common(places, self._objects) > 0), axis=1)

    def _crowded(self, places: Rectangles) -> NDArray[np.int64]:
        """For each place how many pixels of it labels have taken."""
        return _common(places, _rectangles(self.taken)).sum(1)

    def _join(self, place: Rectangle, box: Rectangle, colour: Colour) -> None:
        """A line from a label to its box."""
        ends = []
        for low, high in ((0, 2), (1, 3)):
            middle = (box[low] + box[high]) // 2
            ends.append(min(max(middle, place[low]), place[high] - 1))
        nearest = [min(max(ends[axis], box[axis]), box[axis + 2]) for axis in (0, 1)]
        for width, fill in ((3 * self.thin, BLACK), (self.thin, colour)):
            self.pen.line((*ends, *nearest), fill=fill, width=width)

    def _clamped(self, corners: Sequence[tuple[int, int]], width: int, height: int) -> Rectangles:
        """Rectangles of a size, their upper left corners here, or as near as the picture allows."""
        room = self.picture.width - width, self.picture.height - height
        first = np.clip(corners, 0, np.maximum(room, 0)).astype(np.int64)
        return np.concatenate((first, first + np.array((width, height))), axis=1)

    def _pixels(self, box: Sequence[float]) -> Rectangle:
        """The box's first and last pixels inside the picture."""
        width, height = self.picture.size
        x1, y1, x2, y2 = box
        left, top = max(0, min(round(x1), width - 1)), max(0, min(round(y1), height - 1))
        right, bottom = min(round(x2), width) - 1, min(round(y2), height) - 1
        return left, top, max(left, right), max(top, bottom)

    def _around(self, box: Sequence[float]) -> Rectangle:
        """The pixels of a box, exclusive on the right and below."""
        left, top, right, bottom = self._pixels(box)
        return left, top, right + 1, bottom + 1


def fitted(text: str, size: int, width: int) -> tuple[ImageFont.FreeTypeFont, str]:
    """A font no larger than `size` and the text, shortened where even small it is too wide.

    Example:
        >>> font, text = fitted("a title much too long", 12, 60)
        >>> text, font.getlength(text) <= 60
        ('a title much …', True)
    """
    for smaller in range(size, SMALLEST_TEXT - 1, -1):
        if _font(smaller).getlength(text) <= width:
            return _font(smaller), text
    font = _font(min(size, SMALLEST_TEXT))
    while len(text) > 1 and font.getlength(text + "…") > width:
        text = text[:-1]
    return font, text + "…"


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_fonts() / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _fonts() -> Path:
    """Matplotlib's data, found without importing it where they lie where it puts them."""
    found = importlib.util.find_spec("matplotlib")
    for place in (found.submodule_search_locations or ()) if found else ():
        if (Path(place) / "mpl-data" / "fonts").is_dir():
            return Path(place) / "mpl-data"
    import matplotlib

    return Path(matplotlib.get_data_path())


def _rectangle(place: Rectangles) -> Rectangle:
    left, top, right, bottom = place.tolist()
    return left, top, right, bottom


def _rectangles(places: Sequence[Rectangle]) -> Rectangles:
    return np.array(places, dtype=np.int64).reshape(-1, 4)


def _areas(places: Rectangles) -> NDArray[np.int64]:
    return (places[:, 2] - places[:, 0]) * (places[:, 3] - places[:, 1])


def _common(some: Rectangles, others: Rectangles) -> NDArray[np.int64]:
    """Pixels that each of N rectangles shares with each of M others, [N, M]."""
    a = some[:, None]
    width = np.minimum(a[..., 2], others[:, 2]) - np.maximum(a[..., 0], others[:, 0])
    height = np.minimum(a[..., 3], others[:, 3]) - np.maximum(a[..., 1], others[:, 1])
    return np.maximum(width, 0) * np.maximum(height, 0)
