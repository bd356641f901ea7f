"""Predictions read back from JSON, with every check, or from Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from trovid.errors import TrovidError
from trovid.runs.parquet.reading import ParquetPredictions, is_parquet
from trovid.structures import Detections, Masks, VideoDetections


def read_document(path: str | Path) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        TrovidError: If the file is missing, no JSON or no object.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrovidError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise TrovidError(f"{path} is not JSON ({error})") from error
    if not isinstance(data, dict):
        raise TrovidError(f"{path} must hold an object, but holds {type(data).__name__}")
    return data


def read_predictions(
    path: str | Path,
) -> tuple[dict[str, Any], Mapping[str, Sequence[Detections] | VideoDetections]]:
    """Reads what `trovid detect` and `trovid merge` write.

    Args:
        path: A JSON file, a Parquet file, or a folder of Parquet files, which are read when a video
            is asked for.

    Returns:
        The head, and for each video's name its frames.

    Raises:
        TrovidError: If the file is missing or damaged, or a field is missing or wrong; the message
            names file, field and index.
    """
    path = Path(path)
    if is_parquet(path):
        found = ParquetPredictions(path)
        return found.head, found
    return parse_predictions(read_document(path), path)


def read_frames(path: str | Path) -> tuple[dict[str, Any], dict[str, list[Detections]]]:
    """The same, frame by frame, with all that a file holds; everything is in memory then."""
    path = Path(path)
    if not is_parquet(path):
        return parse_predictions(read_document(path), path)
    found = ParquetPredictions(path)
    return found.head, {name: list(own.frames()) for name, own in found.records.items()}


def parse_predictions(
    data: dict[str, Any], path: Path
) -> tuple[dict[str, Any], dict[str, list[Detections]]]:
    """`read_predictions` from the JSON object on; `path` names the file in errors."""
    head = _field(data, "head", dict, path, "")
    class_names = tuple(_field(head, "class_names", list, path, "head."))
    if not all(isinstance(name, str) for name in class_names):
        raise TrovidError(f"{path}: head.class_names must be texts, but are {class_names}"[:300])
    predictions: dict[str, list[Detections]] = {}
    for number, video in enumerate(_field(data, "videos", list, path, "")):
        where = f"videos[{number}]."
        name = _field(video, "name", str, path, where)
        size = (_field(video, "height", int, path, where), _field(video, "width", int, path, where))
        predictions[name] = [
            _read_frame(frame, class_names, size, path, f"{where}frames[{index}].")
            for index, frame in enumerate(_field(video, "frames", list, path, where))
        ]
    return head, predictions


def _read_frame(
    frame: Any, class_names: tuple[str, ...], size: tuple[int, int], path: Path, where: str
) -> Detections:
    rows = _field(frame, "detections", list, path, where)
    labels, scores, boxes = [], [], []
    tracks, codes = [], []
    for index, row in enumerate(rows):
        place = f"{where}detections[{index}]."
        labels.append(_field(row, "label", int, path, place))
        scores.append(_field(row, "score", (int, float), path, place))
        boxes.append(_field(row, "box", list, path, place))
        if "track" in row:
            tracks.append(_field(row, "track", int, path, place))
        if "segmentation" in row:
            codes.append(_mask(row, size, path, place))
        if len(boxes[-1]) != 4 or not all(isinstance(edge, int | float) for edge in boxes[-1]):
            raise TrovidError(f"{path}: {place}box must be four numbers, but is {boxes[-1]}")
        if not 0 <= labels[-1] < len(class_names):
            last = len(class_names) - 1
            raise TrovidError(f"{path}: {place}label must lie in 0..{last}, but is {labels[-1]}")
    return Detections(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor(scores, dtype=torch.float32),
        labels=torch.tensor(labels, dtype=torch.long),
        class_names=class_names,
        frame_index=_field(frame, "index", int, path, where),
        time=float(_field(frame, "time", (int, float), path, where)),
        image_size=size,
        track_ids=torch.tensor(tracks) if tracks and len(tracks) == len(rows) else None,
        masks=Masks(size, tuple(codes)) if codes and len(codes) == len(rows) else None,
    )


def _mask(row: dict[str, Any], size: tuple[int, int], path: Path, where: str) -> bytes:
    code = _field(row, "segmentation", dict, path, where)
    try:
        return Masks.from_coco([code], size).counts[0]
    except ValueError as error:
        reason = str(error).removeprefix("mask 0 ")
        raise TrovidError(f"{path}: {where}segmentation {reason}") from error


def _field(holder: Any, name: str, kind: type | tuple[type, ...], path: Path, where: str) -> Any:
    if not isinstance(holder, dict) or name not in holder:
        raise TrovidError(f"{path}: {where}{name} is missing")
    value = holder[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise TrovidError(f"{path}: {where}{name} must be of type {names}, but is {value!r}"[:300])
    return value
