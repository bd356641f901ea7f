"""NAME.json: predictions, written video by video and frame by frame."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from trovid import __version__
from trovid.files import GrowingFile
from trovid.structures import Detections, Video
from trovid.video.opening import Frame

BOX_DECIMALS, SCORE_DECIMALS, TIME_DECIMALS = 2, 5, 6


class JsonWriter:
    """Writes predictions as they come; the file appears under its name only when it is complete.

    Use as a context manager. An exception inside removes the partial file.

    Args:
        path: The file.
        model: Name of the model.
        class_names: The model's classes.
        options: Options of the run, for the head.
        provenance: What else the head says: versions, digest of the weights.

    Attributes:
        file: The file, to be published or discarded where it is no context manager.

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
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self.file = GrowingFile(Path(path))
        head = {
            "trovid": __version__,
            "model": model,
            "class_names": list(class_names),
            "options": options or {},
            **(provenance or {}),
        }
        self._videos = self._frames = 0
        self.file.write(f'{{"head": {json.dumps(head)},\n"videos": [')

    def begin_video(
        self, video: Video, file_name: str | Path, *, contents: str | None = None
    ) -> None:
        """Starts a video; its frames follow by `write`, its end by `end_video`.

        Args:
            video: Name and measures.
            file_name: Where it lies.
            contents: See `contents_digest`.
        """
        head: dict[str, Any] = {
            "name": video.name,
            "file_name": str(file_name),
            "width": video.width,
            "height": video.height,
            "num_frames": video.num_frames,
            "frame_rate": video.frame_rate,
        }
        if contents is not None:
            head["contents"] = contents
        before = ",\n" if self._videos else "\n"
        self.file.write(f'{before}{json.dumps(head)[:-1]}, "frames": [')
        self._videos, self._frames = self._videos + 1, 0

    def write(self, detections: Detections, **more: Any) -> None:
        """Adds a frame to the video that was begun.

        Args:
            detections: What was found.
            **more: What else is said of the frame.
        """
        record = {**_frame(detections), **more}
        self.file.write((",\n" if self._frames else "\n") + json.dumps(record))
        self._frames += 1

    def end_video(
        self, *, complete: bool = True, problems: Sequence[str] = (), **more: Any
    ) -> None:
        """Ends the video that was begun.

        Args:
            complete: Whether every frame that was asked for is there.
            problems: What was wrong with the video, one line each.
            **more: What else is said of the video.
        """
        end = {"complete": complete, "problems": list(problems), **more}
        self.file.write("\n], " + json.dumps(end)[1:])

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
            self.finish()
            self.file.publish()
        else:
            self.file.discard()

    def finish(self) -> None:
        """Completes the file under its hidden name."""
        self.file.write("]}\n")
        self.file.finish()


def json_writer(path: Path, head: dict[str, Any]) -> JsonWriter:
    """A writer with the head of `results_head`."""
    return JsonWriter(
        path,
        model=head["model"],
        class_names=head["class_names"],
        options=head["options"],
        provenance={k: v for k, v in head.items() if k not in ("model", "class_names", "options")},
    )


class JsonSink:
    """Everything of one video, with a head; `trovid evaluate` and `--resume` read it."""

    wants_pictures = False

    def __init__(
        self,
        path: Path,
        video: Video,
        source: str,
        head: dict[str, Any],
        *,
        contents: str | None = None,
    ) -> None:
        self.path = path
        self.problems: list[str] = []
        self._writer = json_writer(path, head)
        self._writer.begin_video(video, source, contents=contents)

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame."""
        self._writer.write(detections)

    def finish(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Completes the file."""
        self._writer.end_video(complete=complete, problems=problems)
        self._writer.finish()

    def publish(self) -> None:
        """Gives the file its name."""
        self._writer.file.publish()

    def discard(self) -> None:
        """Removes what was written."""
        self._writer.file.discard()


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
    """One plain dict a detection: class, label, score, box; track and mask where there are any."""
    columns: dict[str, list[Any]] = {
        "class": [detections.class_names[label] for label in detections.labels.tolist()],
        "label": detections.labels.tolist(),
        "score": [round(score, SCORE_DECIMALS) for score in detections.scores.tolist()],
        "box": [[round(edge, BOX_DECIMALS) for edge in box] for box in detections.boxes.tolist()],
    }
    if detections.track_ids is not None:
        columns["track"] = detections.track_ids.tolist()
    if detections.masks is not None:
        columns["segmentation"] = detections.masks.to_coco()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _frame(detections: Detections) -> dict[str, Any]:
    return {
        "index": detections.frame_index,
        "time": round(detections.time, TIME_DECIMALS),
        "detections": detection_rows(detections),
    }
