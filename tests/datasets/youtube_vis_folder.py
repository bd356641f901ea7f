"""A small data set in the layout of YouTube-VIS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trovid.structures import Masks

HEIGHT, WIDTH, LENGTH = 24, 32, 3


def square(left: int, top: int, side: int = 6) -> np.ndarray:
    """A mask, bool [HEIGHT, WIDTH]."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """As YouTube-VIS writes it: the list of the runs."""
    flat = np.concatenate(([False], mask.T.ravel()))
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate(([0], changes, [mask.size])))
    return {"size": [HEIGHT, WIDTH], "counts": runs.tolist()}


def annotation(number: int, video: int, category: int, masks: list[np.ndarray | None]) -> dict:
    """An object through a video; masks of uneven frames are compressed codes."""
    boxes: list[list[float] | None] = []
    codes: list[dict | None] = []
    for frame, mask in enumerate(masks):
        if mask is None:
            boxes.append(None)
            codes.append(None)
            continue
        packed = Masks.from_dense(mask[None])
        x1, y1, x2, y2 = packed.boxes[0].tolist()
        boxes.append([x1, y1, x2 - x1, y2 - y1])
        codes.append(packed.to_coco()[0] if frame % 2 else run_lengths(mask))
    return {
        "id": number,
        "video_id": video,
        "category_id": category,
        "iscrowd": 0,
        "bboxes": boxes,
        "segmentations": codes,
        "areas": [None if mask is None else int(mask.sum()) for mask in masks],
    }


def document() -> dict[str, Any]:
    """Two videos, three objects; ids that are not their places."""
    names = ("0043f083b5", "00f1a9c2d7")
    return {
        "info": {"description": "YouTube-VIS", "version": "1.0"},
        "categories": [{"id": 4, "name": "dog"}, {"id": 2, "name": "cat"}],
        "videos": [
            {
                "id": 10 + number,
                "file_names": [f"{name}/{5 * frame:05d}.jpg" for frame in range(LENGTH)],
                "width": WIDTH,
                "height": HEIGHT,
                "length": LENGTH,
            }
            for number, name in enumerate(names)
        ],
        "annotations": [
            annotation(7, 10, 4, [square(0, 0), square(3, 1), None]),
            annotation(8, 10, 2, [square(20, 10, 9), square(19, 10, 9), square(18, 10, 9)]),
            annotation(9, 11, 2, [None, square(5, 5), square(6, 6)]),
        ],
    }


def write_youtube_vis(root: Path, labels: dict[str, Any] | None = None) -> Path:
    """The folder in the layout of 2021, with frames and the valid split without labels."""
    labels = document() if labels is None else labels
    for split, content in (("train", labels), ("valid", {**labels, "annotations": None})):
        folder = root / split
        for video in document()["videos"]:
            for name in video["file_names"]:
                path = folder / "JPEGImages" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (WIDTH, HEIGHT), (90, 60, 30)).save(path)
        (folder / "instances.json").write_text(json.dumps(content))
    return root
