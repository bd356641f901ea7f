"""Predictions read back from JSON, with every check, or from Parquet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from trovid.datasets.coco_results import is_coco_results, read_coco_results
from trovid.errors import TrovidError, shortened
from trovid.runs.parquet.reading import SAME_HEAD, ParquetPredictions, is_parquet
from trovid.structures import Detections, Masks, VideoDetections

OWN = re.compile(r'\s*\{\s*"head"\s*:\s*\{\s*"trovid"')
"""How NAME.json begins."""
SIDE, FRAMES, RATE = (1, 10**6), (0, 10**8), (0.0, 1e6)
PIXEL, TRACK = (-1e9, 1e9), (-(2**62), 2**62)
"""Lowest and highest height or width, index of a frame, edge of a box, number of a track."""


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
        raise TrovidError(f"{path} is not JSON ({str(error)[:200]})") from error
    if not isinstance(data, dict):
        raise TrovidError(f"{path} must hold an object, but holds {type(data).__name__}")
    return data


def read_predictions(
    path: str | Path, *, labels: Path | None = None
) -> tuple[dict[str, Any], Mapping[str, Sequence[Detections] | VideoDetections]]:
    """Reads what `trovid detect` and `trovid merge` write.

    Args:
        path: A JSON file, a Parquet file, or a folder of Parquet files, whose videos are read when
            they are asked for, or of JSON files.
        labels: COCO or COCO-VID labels, by whose ids a list of COCO results is read.

    Returns:
        The head, and for each video's name its frames.

    Raises:
        TrovidError: If the file is missing or damaged, or a field is missing or wrong; the message
            names file, field and index. Of a folder also if a video is there twice, or the files
            are of different models or options.
    """
    path = Path(path)
    documents = _own_documents(path)
    if documents:
        return _together(documents)
    if is_parquet(path):
        found = ParquetPredictions(path)
        return found.head, found
    if labels is not None and is_coco_results(path):
        return {"model": path.stem}, read_coco_results(path, labels)
    return parse_predictions(read_document(path), path)


def read_frames(path: str | Path) -> tuple[dict[str, Any], dict[str, list[Detections]]]:
    """The same, frame by frame, with all that a file holds; everything is in memory then."""
    path = Path(path)
    documents = _own_documents(path)
    if documents:
        return _together(documents)
    if not is_parquet(path):
        return parse_predictions(read_document(path), path)
    found = ParquetPredictions(path)
    return found.head, {name: list(record.frames()) for name, record in found.records.items()}


def holds_predictions(folder: Path) -> bool:
    """Whether a folder holds what `read_frames` reads: Parquet, or NAME.json of trovid."""
    return _holds_parquet(folder) or any(map(is_own, folder.rglob("*.json")))


def is_own(path: Path) -> bool:
    """Whether a file begins as NAME.json of trovid does."""
    try:
        with path.open(encoding="utf-8") as file:
            return OWN.match(file.read(1000)) is not None
    except (OSError, ValueError):
        return False


def _holds_parquet(folder: Path) -> bool:
    return any(not file.name.startswith(".") for file in folder.rglob("*.parquet"))


def _own_documents(path: Path) -> dict[Path, dict[str, Any]]:
    """The JSON files of predictions in a folder without Parquet; {} where there are none."""
    if not path.is_dir() or _holds_parquet(path):
        return {}
    files = (f for f in sorted(path.rglob("*.json")) if not f.name.startswith(".") and is_own(f))
    documents = {file: read_document(file) for file in files}
    return {file: document for file, document in documents.items() if "videos" in document}


def _together(
    documents: Mapping[Path, dict[str, Any]],
) -> tuple[dict[str, Any], dict[str, list[Detections]]]:
    first, of = next(iter(documents)), dict[str, Path]()
    together: dict[str, Any] = {}
    frames: dict[str, list[Detections]] = {}
    for file, document in documents.items():
        head, found = parse_predictions(document, file)
        together = together or head
        for key in SAME_HEAD:
            if head.get(key) != together.get(key):
                raise TrovidError(
                    f"{file}: is of another run than {first}: its {key} differs; keep each run in "
                    "a folder of its own"
                )
        for name in found:
            if name in of:
                raise TrovidError(f"{file}: video '{name}' is in {of[name]} too; keep one")
            of[name] = file
        frames |= found
    return together, frames


def parse_predictions(
    data: dict[str, Any], path: Path
) -> tuple[dict[str, Any], dict[str, list[Detections]]]:
    """`read_predictions` from the JSON object on; `path` names the file in errors."""
    head = _field(data, "head", dict, path, "")
    class_names = tuple(_field(head, "class_names", list, path, "head."))
    if not all(isinstance(name, str) and name.isprintable() for name in class_names):
        raise TrovidError(
            f"{path}: head.class_names must be printable texts, but are {shortened(class_names)}"
        )
    predictions: dict[str, list[Detections]] = {}
    for number, video in enumerate(_field(data, "videos", list, path, "")):
        where = f"videos[{number}]."
        name = _field(video, "name", str, path, where)
        height, width = (_number(video, side, SIDE, path, where) for side in ("height", "width"))
        size = int(height), int(width)
        for key, limits in {"num_frames": FRAMES, "frame_rate": RATE}.items():
            if key in video:
                _number(video, key, limits, path, where)
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
        labels.append(_number(row, "label", (0, len(class_names) - 1), path, place))
        scores.append(_number(row, "score", (0.0, 1.0), path, place))
        boxes.append(_field(row, "box", list, path, place))
        if "track" in row:
            tracks.append(_number(row, "track", TRACK, path, place))
        if "segmentation" in row:
            codes.append(_mask(row, size, path, place))
        edges = boxes[-1]
        if len(edges) != 4 or not all(
            isinstance(edge, int | float) and PIXEL[0] <= edge <= PIXEL[1] for edge in edges
        ):
            raise TrovidError(f"{path}: {place}box must be four numbers, but is {shortened(edges)}")
    return Detections(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor(scores, dtype=torch.float32),
        labels=torch.tensor(labels, dtype=torch.long),
        class_names=class_names,
        frame_index=int(_number(frame, "index", FRAMES, path, where)),
        time=float(_number(frame, "time", (-1e18, 1e18), path, where)),
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


def _number(
    holder: Any, name: str, bounds: tuple[float, float], path: Path, where: str
) -> int | float:
    """A number within bounds; an integer where these are."""
    kinds = (int, float) if isinstance(bounds[0], float) else int
    value = _field(holder, name, kinds, path, where)
    if not bounds[0] <= value <= bounds[1]:  # NaN is in none
        lowest, highest = bounds
        what = f"must lie in {lowest:g}..{highest:g}, but is {shortened(value)}"
        raise TrovidError(f"{path}: {where}{name} {what}")
    return value


def _field(holder: Any, name: str, kind: type | tuple[type, ...], path: Path, where: str) -> Any:
    if not isinstance(holder, dict) or name not in holder:
        raise TrovidError(f"{path}: {where}{name} is missing")
    value = holder[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise TrovidError(
            f"{path}: {where}{name} must be of type {names}, but is {shortened(value)}"
        )
    return value
