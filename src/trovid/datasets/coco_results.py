"""COCO results (one list of image_id, category_id, bbox, score), as other programs write them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trovid.datasets.json_formats import labels_file
from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError
from trovid.structures import Detections, Masks, VideoDetections


def detections_from_coco(
    results: Sequence[Mapping[str, Any]], class_names: Sequence[str], **frame: Any
) -> Detections:
    """Detections of one frame from COCO results; the inverse of `Detections.to_coco`.

    Args:
        results: Dicts with `category_id` (from 1), `bbox`, `score` and maybe `track_id` and
            `segmentation`.
        class_names: Names of all classes.
        **frame: `frame_index`, `time`, `image_size`.

    Raises:
        ValueError: If a field is missing or a mask is damaged; the message names its index.

    Example:
        >>> row = {"category_id": 2, "bbox": [10, 20, 30, 40], "score": 0.5}
        >>> found = detections_from_coco([row], ("cup", "star"))
        >>> found.names, found.boxes.tolist()
        (['star'], [[10.0, 20.0, 40.0, 60.0]])
    """
    for index, row in enumerate(results):
        for key in ("category_id", "bbox", "score"):
            if key not in row:
                raise ValueError(f"results[{index}] has no `{key}`")
    boxes = torch.tensor([[*row["bbox"]] for row in results], dtype=torch.float64)
    boxes = boxes.reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    tracks = [row["track_id"] for row in results if "track_id" in row]
    codes = [row["segmentation"] for row in results if "segmentation" in row]
    complete = bool(codes) and len(codes) == len(results)
    size = frame.get("image_size") or (0, 0)
    if complete and not frame.get("image_size"):
        if not isinstance(codes[0], Mapping) or "size" not in codes[0]:
            raise ValueError("`image_size` must be given where `segmentation` is a polygon")
        size = tuple(codes[0]["size"])
    return Detections(
        boxes=boxes.float(),
        scores=torch.tensor([row["score"] for row in results], dtype=torch.float32),
        labels=torch.tensor([row["category_id"] - 1 for row in results], dtype=torch.long),
        class_names=tuple(class_names),
        track_ids=torch.tensor(tracks) if tracks and len(tracks) == len(results) else None,
        masks=Masks.from_coco(codes, size) if complete else None,
        **frame,
    )


def is_coco_results(path: Path) -> bool:
    """Whether a file holds a list, as COCO results do; trovid's own predictions are an object."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(1000).lstrip().startswith("[")
    except (OSError, ValueError):
        return False


def read_coco_results(path: Path, source: Path) -> dict[str, VideoDetections]:
    """By each video's name what a list of COCO results says; all labelled frames count.

    Args:
        path: The list.
        source: The COCO or COCO-VID labels whose image and category ids it uses, or their folder.

    Raises:
        TrovidError: If a file cannot be read, an entry is no result, or an id is unknown.
    """
    truth = read_dataset(labels_file(source, "val"))
    if truth.ids is None:
        raise TrovidError(
            f"{source}: a list of COCO results needs COCO labels, whose images and categories have "
            "the ids that it uses"
        )
    rows = _json(path)
    if not isinstance(rows, list):
        raise TrovidError(f"{path}: must hold a list of COCO results")
    frames, labels = truth.ids.frames.tolist(), truth.ids.labels
    known = {image for image, _, _ in frames}
    columns = [_row(row, path, index, known, labels) for index, row in enumerate(rows)]
    images = np.array([column[0] for column in columns], dtype=np.int64)
    order = np.argsort(images, kind="stable")
    images = images[order]
    values = np.array([column[1:] for column in columns], dtype=np.float64).reshape(-1, 6)[order]
    boxes = values[:, 2:]
    boxes[:, 2:] += boxes[:, :2]
    of_video: dict[int, list[tuple[int, int]]] = {}
    for image, number, frame in frames:
        of_video.setdefault(number, []).append((frame, image))
    return {
        truth.videos[number].name: _video(
            sorted(frame_images), images, boxes, values, truth.class_names
        )
        for number, frame_images in of_video.items()
    }


def _video(
    frame_images: Sequence[tuple[int, int]],
    images: NDArray[np.int64],
    boxes: NDArray[np.float64],
    values: NDArray[np.float64],
    class_names: tuple[str, ...],
) -> VideoDetections:
    starts, ends = (
        np.searchsorted(images, [image for _, image in frame_images], side=side)
        for side in ("left", "right")
    )
    pairs = zip(starts, ends, strict=True)
    rows = np.concatenate([np.arange(start, end) for start, end in pairs]).astype(np.int64)
    return VideoDetections(
        np.array([frame for frame, _ in frame_images], dtype=np.int32),
        (ends - starts).astype(np.int32),
        boxes[rows],
        values[rows, 1],
        values[rows, 0].astype(np.int32),
        class_names,
    )


def _row(
    row: Any, path: Path, index: int, images: Collection[int], labels: Mapping[int, int]
) -> tuple[float, ...]:
    try:
        image, category = int(row["image_id"]), int(row["category_id"])
        x, y, width, height = (float(side) for side in row["bbox"])
        score = float(row["score"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise TrovidError(
            f"{path}: entry {index} must have image_id, category_id, bbox (x, y, width, height) "
            "and score"
        ) from error
    if image not in images:
        raise TrovidError(f"{path}: entry {index}: the labels have no image {image}")
    if category not in labels:
        raise TrovidError(f"{path}: entry {index}: the labels have no category {category}")
    return image, labels[category], score, x, y, width, height


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrovidError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise TrovidError(f"{path} is not JSON ({str(error)[:200]})") from error
