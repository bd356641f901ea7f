"""What an interrupted run has left, to go on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trovid.errors import TrovidError, shortened
from trovid.runs.predictions import parse_predictions, read_document
from trovid.structures import Detections, Video

SAME_HEAD = ("model", "weights", "class_names", "options")
SAME_VIDEO = ("width", "height", "num_frames", "frame_rate")


@dataclass(frozen=True)
class Earlier:
    """Results of an earlier run of the same video with the same options.

    Attributes:
        frames: Detections of the first target frames.
        complete: Whether nothing is missing, neither a frame nor a file's part.
        blank: Indices of the frames that it took as black, for they could not be decoded.
    """

    frames: list[Detections]
    complete: bool
    blank: frozenset[int] = frozenset()


def earlier_results(
    path: Path,
    head: dict[str, Any],
    video: Video,
    targets: Sequence[int],
    *,
    contents: str | None = None,
) -> Earlier:
    """Reads the JSON of an earlier run and checks that this run would have written the same.

    Args:
        path: NAME.json of the earlier run.
        head: The head that this run writes.
        video: The video's name and measures now.
        targets: The frames that are asked for.
        contents: See `contents_digest`; results of before do not state it.

    Raises:
        TrovidError: If the file is unreadable, or of another model, video or options.
    """
    document = read_document(path)
    old, found = parse_predictions(document, path)
    cure = "give the options of the first run, or `overwrite` to begin anew"
    for key in SAME_HEAD:
        if old.get(key) != head[key]:
            difference = _difference(key, old.get(key), head[key])
            raise TrovidError(f"{path}: cannot be resumed, {difference}; {cure}")
    if len(found) != 1:
        raise TrovidError(f"{path}: cannot be resumed, it holds {len(found)} videos; {cure}")
    (record,) = document["videos"]
    for key in SAME_VIDEO:
        if record.get(key) != getattr(video, key):
            raise TrovidError(
                f"{path}: cannot be resumed, the video's {key} was {_said(record.get(key))} "
                f"and is {getattr(video, key)}; {cure}"
            )
    if record.get("contents", contents) != contents:
        raise TrovidError(
            f"{path}: cannot be resumed, the video is another one of the same length and size; "
            f"{cure}"
        )
    (frames,) = found.values()
    indices = [detections.frame_index for detections in frames]
    if indices != list(targets[: len(indices)]):
        raise TrovidError(f"{path}: cannot be resumed, its frames are not the first ones; {cure}")
    blank = frozenset(frame["index"] for frame in record["frames"] if frame.get("blank"))
    complete = len(frames) == len(targets) and record.get("complete") is not False
    return Earlier(frames, complete, blank)


def _difference(key: str, old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        option = next(name for name in sorted({*old, *new}) if old.get(name) != new.get(name))
        return f"`{option}` was {_said(old.get(option))} and is {new.get(option)}"
    if key in ("weights", "class_names"):
        return "the model's weights or classes have changed"
    return f"the {key} was {_said(old)} and is {new}"


def _said(value: Any) -> str:
    """What a file holds, for a message: words without quotation marks, never all of much."""
    return value if isinstance(value, str) and len(value) <= 60 else shortened(value)
