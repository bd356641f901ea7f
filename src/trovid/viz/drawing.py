"""Boxes, labels and titles drawn into pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from trovid.structures import Detections, GroundTruth
from trovid.video.opening import Frame
from trovid.viz.canvas import USUAL_LABELS, Canvas, LabelStyle, fitted
from trovid.viz.colours import WHITE, class_colour, palette_colour

PAPER = (24, 24, 24)


def draw(
    frame: Frame | np.ndarray,
    detections: Detections,
    *,
    ground_truth: GroundTruth | None = None,
    style: LabelStyle = USUAL_LABELS,
) -> np.ndarray:
    """A copy of a picture with boxes: detections thick with class and score, ground truth thin.

    Lines and text grow with the picture. Labels stay inside it and keep clear of each other where
    there is room; of two that compete, the surer detection's lies beside its box. They never cover
    an object that is small beside them.

    Args:
        frame: A Frame, or an image uint8 [H, W, 3], RGB.
        detections: Boxes in pixels of the image.
        ground_truth: Labelled objects, drawn as white dashes, with their class at the lower edge.
        style: How labels are written.

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
    order = detections.scores.argsort(descending=True).tolist()
    labels, boxes = detections.labels.tolist(), detections.boxes.tolist()
    names, scores = detections.names, detections.scores.tolist()
    true = [] if ground_truth is None else ground_truth.boxes.tolist()
    canvas = Canvas(image, style, [*boxes, *true])
    for index in reversed(order):
        canvas.outline(boxes[index], palette_colour(labels[index]))
    for box in true:
        canvas.dashes(box)
    for index in order:
        text = f"{names[index]} {scores[index]:.2f}"
        canvas.label(boxes[index], text, palette_colour(labels[index]))
    if ground_truth is not None:
        for box, label in zip(true, ground_truth.labels.tolist(), strict=True):
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
    names = [truth.class_names[label] for label in truth.labels.tolist()]
    ids, boxes, counted = (
        values.tolist() for values in (truth.instance_ids, truth.boxes, truth.counted)
    )
    canvas = Canvas(image, objects=boxes)
    for name, box, counts in zip(names, boxes, counted, strict=True):
        if counts:
            canvas.outline(box, class_colour(name, truth.class_names))
        else:
            canvas.dashes(box)
    for name, number, box, counts in zip(names, ids, boxes, counted, strict=True):
        text = f"{name} {number}" if counts else f"{name} (ignored)"
        canvas.label(box, text, class_colour(name, truth.class_names) if counts else WHITE)
    return np.asarray(canvas.picture)


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
