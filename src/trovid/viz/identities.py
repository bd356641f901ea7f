"""Objects of a video in a colour of their own, with labels that stay where they are."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from trovid.structures import Detections, GroundTruth
from trovid.video.opening import Frame
from trovid.viz.canvas import USUAL_LABELS, Canvas, LabelStyle
from trovid.viz.colours import Colour
from trovid.viz.drawing import draw

GOLDEN = 0.618033988749895
OPACITY = 0.45
FOLLOWING = 0.35
"""Share of the way to its box that a label goes from frame to frame."""
FORGOTTEN = 100
"""Frames after which the place of a label that is not drawn is forgotten."""


def identity_colour(number: int) -> Colour:
    """The colour of an identity; neighbouring numbers get colours far from each other.

    Example:
        >>> identity_colour(0), identity_colour(1)
        ((255, 38, 38), (38, 101, 255))
    """
    tone = (0.85, 1.0) if number // 8 % 2 == 0 else (0.6, 0.85)
    red, green, blue = colorsys.hsv_to_rgb((number * (1 - GOLDEN) * -1) % 1, *tone)
    return round(255 * red), round(255 * green), round(255 * blue)


class IdentityOverlay:
    """Draws the frames of one video in turn: masks or boxes in the colour of their identity.

    A label says class and identity, which change seldom, and follows its object slowly, whoever
    comes near: it jumps only where it would cover a small object.

    Args:
        style: How labels are written.
    """

    def __init__(self, style: LabelStyle = USUAL_LABELS) -> None:
        self._style = style
        self._frames = 0
        self._places: dict[int, tuple[float, float, int]] = {}

    def draw(
        self,
        frame: Frame | np.ndarray,
        detections: Detections,
        *,
        ground_truth: GroundTruth | None = None,
    ) -> np.ndarray:
        """A copy of the next frame's picture with its objects; see `trovid.viz.drawing.draw`.

        One mask at a time is made of pixels, and of it only the part that it fills.
        """
        image = draw(frame, detections[[]], ground_truth=ground_truth, style=self._style)
        self._frames += 1
        order = detections.scores.argsort(descending=True).tolist()
        ids = _identities(detections)
        image = _painted(image, detections, order, ids)
        boxes = detections.boxes.tolist()
        canvas = Canvas(image, self._style, boxes)
        if detections.masks is None:
            for row in reversed(order):
                canvas.outline(boxes[row], identity_colour(ids[row]))
        names = detections.names
        for row in reversed(order):
            place = self._place(ids[row], boxes[row])
            text, colour = f"{names[row]} {ids[row]}", identity_colour(ids[row])
            canvas.tag(place, text, colour, boxes[row])
        self._forget()
        return np.asarray(canvas.picture)

    def _place(self, number: int, box: list[float]) -> tuple[float, float]:
        x, y = box[0], box[1]
        if number in self._places:
            before_x, before_y, _ = self._places[number]
            x = before_x + FOLLOWING * (x - before_x)
            y = before_y + FOLLOWING * (y - before_y)
        self._places[number] = x, y, self._frames
        return x, y

    def _forget(self) -> None:
        old = [n for n, place in self._places.items() if self._frames - place[2] > FORGOTTEN]
        for number in old:
            del self._places[number]


def _identities(detections: Detections) -> list[int]:
    """Those of the detections; where there are none, their places."""
    ids = detections.track_ids
    return list(range(len(detections))) if ids is None else ids.tolist()


def _painted(
    image: np.ndarray, detections: Detections, order: list[int], ids: list[int]
) -> np.ndarray:
    """The picture under a veil of each mask's colour, with its edge drawn full."""
    masks = detections.masks
    if masks is None or not len(masks):
        return image
    planes = np.ascontiguousarray(image.transpose(2, 1, 0))  # masks lie column by column too
    width = max(1, round(min(image.shape[:2]) / 300))
    for row in reversed(order):
        (left, top), window = masks.window(row)
        if not window.size:
            continue
        mask = window.T
        edge = mask & ~_within(mask, width)
        part = planes[:, left : left + mask.shape[0], top : top + mask.shape[1]]
        colour = identity_colour(ids[row])
        for plane, ground, full in zip(part, _veiled(colour), colour, strict=True):
            np.copyto(plane, ground.take(plane), where=mask)
            np.copyto(plane, full, where=edge)
    return np.ascontiguousarray(planes.transpose(2, 1, 0))


def _veiled(colour: Colour) -> NDArray[np.uint8]:
    """What becomes of each brightness of red, green and blue under a veil, [3, 256]."""
    ground = np.arange(256) * (1 - OPACITY) + np.array(colour)[:, None] * OPACITY
    return ground.astype(np.uint8)


def _within(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """What lies further from the edge of a mask than so many pixels, along rows and columns."""
    wide = np.pad(mask, width)
    height, columns = mask.shape
    inner = np.ones_like(mask)
    for down, right in ((0, width), (2 * width, width), (width, 0), (width, 2 * width)):
        inner &= wide[down : down + height, right : right + columns]
    return inner
