"""Predictions as JSON: written video by video and frame by frame, read back with every check."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import torch

from trovid import __version__
from trovid.errors import TrovidError
from trovid.structures import Detections, Video

BOX_DECIMALS, SCORE_DECIMALS = 2, 5


class JsonWriter:
    """Writes predictions as they come; the file appears under its name only when it is complete.

    Use as a context manager. An exception inside removes the partial file.

    Args:
        path: The file.
        model: Name of the model.
        class_names: The model's classes.
        options: Options of the run, for the head.

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
    ) -> None:
        self.path = Path(path)
        self._partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        head = {
            "trovid": __version__,
            "model": model,
            "class_names": list(class_names),
            "options": options or {},
        }
        self._videos = self._frames = 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = self._partial.open("w", encoding="utf-8")
        except OSError as error:
            raise TrovidError(f"cannot write {self.path}: {error.strerror}") from error
        self._write(f'{{"head": {json.dumps(head)},\n"videos": [')

    def begin_video(self, video: Video, file_name: str | Path) -> None:
        """Starts a video; its frames follow by `write`, its end by `end_video`."""
        head = {
            "name": video.name,
            "file_name": str(file_name),
            "width": video.width,
            "height": video.height,
            "num_frames": video.num_frames,
        }
        self._write((",\n" if self._videos else "\n") + json.dumps(head)[:-1] + ', "frames": [')
        self._videos, self._frames = self._videos + 1, 0

    def write(self, detections: Detections) -> None:
        """Adds a frame to the video that was begun."""
        self._write((",\n" if self._frames else "\n") + json.dumps(_frame(detections)))
        self._frames += 1

    def end_video(self) -> None:
        """Ends the video that was begun."""
        self._write("]}")

    def write_video(
        self, video: Video, file_name: str | Path, frames: Iterable[Detections]
    ) -> None:
        """A whole video at once."""
        self.begin_video(video, file_name)
        for detections in frames:
            self.write(detections)
        self.end_video()

    def _write(self, text: str) -> None:
        try:
            self._file.write(text)
        except OSError as error:
            raise TrovidError(f"cannot write {self.path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._write("]}\n")
            self._file.close()
            if kind is None:
                self._partial.replace(self.path)
        except OSError as failure:
            raise TrovidError(f"cannot write {self.path}: {failure.strerror}") from failure
        finally:
            self._partial.unlink(missing_ok=True)


def _frame(detections: Detections) -> dict[str, Any]:
    rows = zip(
        detections.labels.tolist(),
        detections.scores.tolist(),
        detections.boxes.tolist(),
        strict=True,
    )
    return {
        "index": detections.frame_index,
        "time": round(detections.time, 6),
        "detections": [
            {
                "class": detections.class_names[label],
                "label": label,
                "score": round(score, SCORE_DECIMALS),
                "box": [round(edge, BOX_DECIMALS) for edge in box],
            }
            for label, score, box in rows
        ],
    }


def read_predictions(path: str | Path) -> tuple[dict[str, Any], dict[str, list[Detections]]]:
    """Reads what JsonWriter wrote.

    Returns:
        The head, and for each video's name its frames.

    Raises:
        TrovidError: If the file is missing or no JSON, or a field is missing or wrong; the message
            names file, field and index.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrovidError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise TrovidError(f"{path} is not JSON ({error})") from error
    head = _field(data, "head", dict, path, "")
    class_names = tuple(_field(head, "class_names", list, path, "head."))
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
    for index, row in enumerate(rows):
        place = f"{where}detections[{index}]."
        labels.append(_field(row, "label", int, path, place))
        scores.append(_field(row, "score", (int, float), path, place))
        boxes.append(_field(row, "box", list, path, place))
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
    )


def _field(holder: Any, name: str, kind: type | tuple[type, ...], path: Path, where: str) -> Any:
    if not isinstance(holder, dict) or name not in holder:
        raise TrovidError(f"{path}: {where}{name} is missing")
    value = holder[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise TrovidError(f"{path}: {where}{name} must be of type {names}, but is {value!r}"[:300])
    return value
