"""Predictions as JSON: written video by video and frame by frame, read back with every check."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from trovid import __version__
from trovid.errors import TrovidError
from trovid.files import GrowingFile
from trovid.structures import Detections, Video

BOX_DECIMALS, SCORE_DECIMALS, TIME_DECIMALS = 2, 5, 6


class JsonWriter:
    """Writes predictions as they come; the file appears under its name only when it is complete.

    Use as a context manager. An exception inside removes the partial file.

    Args:
        path: The file.
        model: Name of the model.
        class_names: The model's classes.
        options: Options of the run, for the head.
        facts: What else the head says: versions, digest of the weights.

    Raises:
        TrovidError: If the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        model: str,
        class_names: Sequence[str],
        options: dict[str, Any] | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self._file = GrowingFile(Path(path))
        head = {
            "trovid": __version__,
            "model": model,
            "class_names": list(class_names),
            "options": options or {},
            **(facts or {}),
        }
        self._videos = self._frames = 0
        self._file.write(f'{{"head": {json.dumps(head)},\n"videos": [')

    def begin_video(self, video: Video, file_name: str | Path) -> None:
        """Starts a video; its frames follow by `write`, its end by `end_video`."""
        head = {
            "name": video.name,
            "file_name": str(file_name),
            "width": video.width,
            "height": video.height,
            "num_frames": video.num_frames,
            "frame_rate": video.frame_rate,
        }
        before = ",\n" if self._videos else "\n"
        self._file.write(f'{before}{json.dumps(head)[:-1]}, "frames": [')
        self._videos, self._frames = self._videos + 1, 0

    def write(self, detections: Detections) -> None:
        """Adds a frame to the video that was begun."""
        self._file.write((",\n" if self._frames else "\n") + json.dumps(_frame(detections)))
        self._frames += 1

    def end_video(self, *, complete: bool = True, problems: Sequence[str] = ()) -> None:
        """Ends the video that was begun.

        Args:
            complete: Whether every frame that was asked for is there.
            problems: What was wrong with the video, one line each.
        """
        end = {"complete": complete, "problems": list(problems)}
        self._file.write("\n], " + json.dumps(end)[1:])

    def write_video(
        self, video: Video, file_name: str | Path, frames: Iterable[Detections]
    ) -> None:
        """A whole video at once."""
        self.begin_video(video, file_name)
        for detections in frames:
            self.write(detections)
        self.end_video()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def close(self) -> None:
        """Completes the file and gives it its name.

        Raises:
            TrovidError: If it cannot be completed.
        """
        self.finish()
        self.publish()

    def finish(self) -> None:
        """Completes the file under its hidden name."""
        self._file.write("]}\n")
        self._file.finish()

    def publish(self) -> None:
        """Gives the completed file its name."""
        self._file.publish()

    def discard(self) -> None:
        """Removes what was written so far; nothing appears under the name."""
        self._file.discard()


def rounded(detections: Detections) -> Detections:
    """The detections as they are after writing and reading, so that every output says the same."""
    boxes = [[round(edge, BOX_DECIMALS) for edge in box] for box in detections.boxes.tolist()]
    scores = [round(score, SCORE_DECIMALS) for score in detections.scores.tolist()]
    return replace(
        detections,
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor(scores, dtype=torch.float32),
        time=round(detections.time, TIME_DECIMALS),
    )


def detection_rows(detections: Detections) -> list[dict[str, Any]]:
    """One plain dict a detection: class, label, score, box, and track where there is one."""
    columns: dict[str, list[Any]] = {
        "class": [detections.class_names[label] for label in detections.labels.tolist()],
        "label": detections.labels.tolist(),
        "score": [round(score, SCORE_DECIMALS) for score in detections.scores.tolist()],
        "box": [[round(edge, BOX_DECIMALS) for edge in box] for box in detections.boxes.tolist()],
    }
    if detections.track_ids is not None:
        columns["track"] = detections.track_ids.tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _frame(detections: Detections) -> dict[str, Any]:
    return {
        "index": detections.frame_index,
        "time": round(detections.time, TIME_DECIMALS),
        "detections": detection_rows(detections),
    }


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


def read_predictions(path: str | Path) -> tuple[dict[str, Any], dict[str, list[Detections]]]:
    """Reads what JsonWriter wrote.

    Returns:
        The head, and for each video's name its frames.

    Raises:
        TrovidError: If the file is missing or no JSON, or a field is missing or wrong; the message
            names file, field and index.
    """
    return parse_predictions(read_document(path), Path(path))


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
    tracks = []
    for index, row in enumerate(rows):
        place = f"{where}detections[{index}]."
        labels.append(_field(row, "label", int, path, place))
        scores.append(_field(row, "score", (int, float), path, place))
        boxes.append(_field(row, "box", list, path, place))
        if "track" in row:
            tracks.append(_field(row, "track", int, path, place))
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
    )


def _field(holder: Any, name: str, kind: type | tuple[type, ...], path: Path, where: str) -> Any:
    if not isinstance(holder, dict) or name not in holder:
        raise TrovidError(f"{path}: {where}{name} is missing")
    value = holder[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise TrovidError(f"{path}: {where}{name} must be of type {names}, but is {value!r}"[:300])
    return value
