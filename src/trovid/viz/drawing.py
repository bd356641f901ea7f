"""Boxes, labels and titles drawn into pictures."""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trovid.structures import Detections, GroundTruth
from trovid.video.opening import Frame

Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
PAPER = (24, 24, 24)
SMALLEST_TEXT = 8


def class_colour(name: str) -> Colour:
    """The colour of a class: bright, and the same in every run and for every model.

    Example:
        >>> class_colour("car") == class_colour("car") != class_colour("bus")
        True
    """
    number = zlib.crc32(name.encode())
    hue, tone = number % 360 / 360, number // 360 % 3
    saturation, value = ((0.95, 1.0), (0.65, 1.0), (0.85, 0.8))[tone]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw(
    frame: Frame | np.ndarray, detections: Detections, *, ground_truth: GroundTruth | None = None
) -> np.ndarray:
    """A copy of a picture with boxes: detections thick with class and score, ground truth thin.

    Lines and text grow with the picture. Labels stay inside it and keep clear of each other where
    there is room; of two that compete, the surer detection's lies beside its box.

    Args:
        frame: A Frame, or an image uint8 [H, W, 3], RGB.
        detections: Boxes in pixels of the image.
        ground_truth: Labelled objects, drawn as white dashes, with their class at the lower edge.

    Returns:
        uint8 [H, W, 3].

    Raises:
        ValueError: If the image has another shape or type.
    """
    image = frame.image if isinstance(frame, Frame) else frame
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"`frame` must be uint8 [H, W, 3], but got {image.dtype} {list(image.shape)}"
        )
    canvas = Canvas(image)
    order = detections.scores.argsort(descending=True).tolist()
    names = [detections.class_names[label] for label in detections.labels.tolist()]
    scores, boxes = detections.scores.tolist(), detections.boxes.tolist()
    for index in reversed(order):
        canvas.outline(boxes[index], class_colour(names[index]))
    if ground_truth is not None:
        for box in ground_truth.boxes.tolist():
            canvas.dashes(box)
    for index in order:
        text = f"{names[index]} {scores[index]:.2f}"
        canvas.label(boxes[index], text, class_colour(names[index]))
    if ground_truth is not None:
        for box, label in zip(
            ground_truth.boxes.tolist(), ground_truth.labels.tolist(), strict=True
        ):
            canvas.label(box, ground_truth.class_names[label], WHITE, below=True)
    return np.asarray(canvas.picture)


def draw_labels(image: np.ndarray, truth: GroundTruth) -> np.ndarray:
    """A copy of a picture with its labelled objects: box, class and instance id.

    Objects that need not be found (`GroundTruth.counted`) are drawn in dashes.

    Args:
        image: uint8 [H, W, 3], RGB.
        truth: The objects, with boxes in pixels of the image.

    Returns:
        uint8 [H, W, 3].
    """
    canvas = Canvas(image)
    names = [truth.class_names[label] for label in truth.labels.tolist()]
    ids, boxes, counted = (
        values.tolist() for values in (truth.instance_ids, truth.boxes, truth.counted)
    )
    for name, box, counts in zip(names, boxes, counted, strict=True):
        if counts:
            canvas.outline(box, class_colour(name))
        else:
            canvas.dashes(box)
    for name, number, box, counts in zip(names, ids, boxes, counted, strict=True):
        text = f"{name} {number}" if counts else f"{name} (ignored)"
        canvas.label(box, text, class_colour(name) if counts else WHITE)
    return np.asarray(canvas.picture)


class Canvas:
    """A picture being drawn on, which remembers where its labels lie."""

    def __init__(self, image: np.ndarray) -> None:
        self.picture = Image.fromarray(image)
        self.pen = ImageDraw.Draw(self.picture)
        shorter = min(self.picture.size)
        self.line = max(2, round(shorter / 180))
        self.thin = max(1, round(shorter / 480))
        self.text_size = max(10, round(shorter / 36))
        self.taken: list[Rectangle] = []

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
        """Text on a ground of its colour, at the best free place near the box."""
        font, text, width, height = self._fitted(text)
        self._write(self._place(self._pixels(box), width, height, below), text, font, colour)

    def tag(self, place: tuple[float, float], text: str, colour: Colour) -> None:
        """Text on a ground of its colour, its lower left corner here, or as near as may be."""
        font, text, width, height = self._fitted(text)
        x, y = round(place[0]), round(place[1]) - height
        self._write(self._clamped(x, y, width, height), text, font, colour)

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
        ink = BLACK if brightness(colour) > 130 else WHITE
        margin = max(1, self.text_size // 6)
        self.pen.text((place[0] + margin, place[1]), text, font=font, fill=ink)

    def _place(self, box: Rectangle, width: int, height: int, below: bool) -> Rectangle:
        left, top, right, bottom = box
        flush = right + 1 - width
        outside = [(left, top - height), (flush, top - height)]
        under = [(left, bottom + 1), (flush, bottom + 1)]
        inside = [(left, top), (left, bottom + 1 - height), (flush, top)]
        beside = [(right + 1, top), (left - width, top)]
        order = under + outside if below else outside + under
        candidates = [self._clamped(x, y, width, height) for x, y in order + inside + beside]
        return min(candidates, key=lambda place: sum(_common(place, old) for old in self.taken))

    def _clamped(self, x: int, y: int, width: int, height: int) -> Rectangle:
        x = max(0, min(x, self.picture.width - width))
        y = max(0, min(y, self.picture.height - height))
        return x, y, x + width, y + height

    def _pixels(self, box: Sequence[float]) -> Rectangle:
        """The box's first and last pixels inside the picture."""
        width, height = self.picture.size
        x1, y1, x2, y2 = box
        left, top = max(0, min(round(x1), width - 1)), max(0, min(round(y1), height - 1))
        right, bottom = min(round(x2), width) - 1, min(round(y2), height) - 1
        return left, top, max(left, right), max(top, bottom)


def side_by_side(images: Sequence[np.ndarray], titles: Sequence[str]) -> np.ndarray:
    """Pictures in a row, each under its title; height and width come out even.

    Args:
        images: uint8 [H, W, 3] each; smaller ones are filled up below.
        titles: One each; shortened where too long.

    Returns:
        uint8 [H', W', 3].

    Raises:
        ValueError: If there is no picture, or not one title each.
    """
    return grid(images, titles, columns=max(1, len(images)))


def grid(images: Sequence[np.ndarray], titles: Sequence[str], *, columns: int) -> np.ndarray:
    """Pictures row by row, each under its title; height and width come out even.

    Args:
        images: uint8 [H, W, 3] each.
        titles: One each; shortened where too long.
        columns: Pictures in a row.

    Returns:
        uint8 [H', W', 3].

    Raises:
        ValueError: If there is no picture, or not one title each.
    """
    if not images or len(images) != len(titles):
        raise ValueError(
            f"`images` and `titles` must be equally many and at least one, "
            f"but are {len(images)} and {len(titles)}"
        )
    shorter = min(min(image.shape[:2]) for image in images)
    size = max(11, round(shorter / 28))
    head = 2 * size
    panels = [
        _under_title(image, title, size, head) for image, title in zip(images, titles, strict=True)
    ]
    sheet = contact_sheet([panels[i : i + columns] for i in range(0, len(panels), columns)])
    odd = sheet.shape[0] % 2, sheet.shape[1] % 2
    return np.pad(sheet, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge")


def _under_title(image: np.ndarray, title: str, size: int, head: int) -> np.ndarray:
    height, width = image.shape[:2]
    picture = Image.new("RGB", (width, height + head), PAPER)
    picture.paste(Image.fromarray(image), (0, head))
    font, text = fitted(title, size, width - size)
    ImageDraw.Draw(picture).text((size // 2, head // 2), text, font=font, fill=WHITE, anchor="lm")
    return np.asarray(picture)


def contact_sheet(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Pictures in rows and columns with small gaps.

    Args:
        rows: uint8 [H, W, 3] each; sizes and lengths of rows may differ.

    Returns:
        uint8 [H', W', 3]; a column is as wide, a row as high as its largest picture.

    Raises:
        ValueError: If there is no picture.
    """
    pictures = [image for row in rows for image in row]
    if not pictures:
        raise ValueError("`rows` must hold at least one picture, but has none")
    gap = max(2, 2 * round(max(image.shape[1] for image in pictures) / 160))
    columns = max(len(row) for row in rows)
    widths = [
        max((row[column].shape[1] for row in rows if column < len(row)), default=0)
        for column in range(columns)
    ]
    heights = [max((image.shape[0] for image in row), default=0) for row in rows]
    shape = (sum(heights) + gap * (len(rows) - 1), sum(widths) + gap * (columns - 1), 3)
    sheet = np.full(shape, PAPER, np.uint8)
    y = 0
    for row, height in zip(rows, heights, strict=True):
        x = 0
        for image, width in zip(row, widths, strict=False):
            sheet[y : y + image.shape[0], x : x + image.shape[1]] = image
            x += width + gap
        y += height + gap
    return sheet


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
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)


def brightness(colour: Colour) -> float:
    """How bright a colour looks, 0..255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def _common(a: Rectangle, b: Rectangle) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)
