"""An explanation as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from trovid.files import replacing
from trovid.inference.explanation import FrameExplanation
from trovid.video.opening import Frame

WIDEST = 960
"""Pixels of a picture's longer side in the page."""


def save_explanation_page(
    explanation: FrameExplanation,
    path: Path,
    *,
    names: Sequence[str],
    title: str,
    detection: int = 0,
    position: tuple[int, int] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Writes the page: detections to choose from, positions to point at or to move over.

    Args:
        explanation: What to show.
        path: The file, which is replaced at once.
        names: What each proposal is called.
        title: Heading of the page.
        detection: Index of the proposal that it opens on.
        position: Row and column in the RoI grid that it opens on; None for its middle.
        notes: What a reader has to know of these weights, a sentence each.

    Raises:
        TrovidError: If the file cannot be written.
    """
    template = resources.files("trovid.viz").joinpath("explanation.html").read_text("utf-8")
    rows, columns = explanation.weights.shape[-2:]
    start = [detection, *(position or (rows // 2, columns // 2))]
    data = {**_data(explanation, names, title), "start": start, "notes": list(notes)}
    text = json.dumps(data, separators=(",", ":"))
    page = template.replace("@DATA@", text.replace("<", "\\u003c"))
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _data(explanation: FrameExplanation, names: Sequence[str], title: str) -> dict[str, Any]:
    height, width = explanation.target.image.shape[:2]
    frames = [explanation.target, *explanation.support]
    return {
        "title": title,
        "size": [width, height],
        "grid": list(explanation.weights.shape[-2:]),
        "frames": [{"index": frame.index, "image": _picture(frame)} for frame in frames],
        "detections": [
            {
                "name": name,
                "box": _numbers(explanation.boxes[number], 1),
                "points": _numbers(explanation.points[number], 1),
                "cosines": _numbers(explanation.similarities[number], 3),
                "weights": _numbers(explanation.weights[number], 4),
            }
            for number, name in enumerate(names)
        ],
    }


def _numbers(values: Tensor, digits: int) -> Any:
    if values.dim():
        return [_numbers(row, digits) for row in values]
    return round(float(values), digits)


def _picture(frame: Frame) -> str:
    image = Image.fromarray(frame.image)
    image.thumbnail((WIDEST, WIDEST))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
