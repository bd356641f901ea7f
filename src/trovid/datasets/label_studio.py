"""Label Studio's JSON of tasks with rectangles in videos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.findings import Faults
from trovid.datasets.json_files import read_json
from trovid.datasets.keyframes import KeyFrame, track_boxes
from trovid.datasets.objects import ObjectRows
from trovid.datasets.ranges import MOST_MEASURE, is_number
from trovid.datasets.video_places import find_video, measured
from trovid.errors import TrovidError
from trovid.structures import Video

RECTANGLE = "videorectangle"


def read_label_studio(path: Path, *, faults: Faults | None = None) -> Dataset:
    """The tracks of the tasks' videos: the first annotation that was not cancelled.

    Frames are counted from 1 and boxes are in per cent there. Between two key frames each side
    moves evenly, as Label Studio draws it; a key frame that is not `enabled` is the last one in
    which the object is there. Every frame of an annotated video is labelled.

    Args:
        path: The exported JSON (not JSON-MIN); videos are looked for beside it.
        faults: What to do about what does not fit; None raises.

    Raises:
        TrovidError: If the file is no such export, or a video is not there.
    """
    faults = faults or Faults()
    tasks = read_json(path, faults)
    if not isinstance(tasks, list):
        tasks = []
        faults.add("unreadable-labels", f"{path}: must hold a list of tasks; export as JSON")
    known = list(_tasks(path, tasks, faults))
    names = sorted({label for _, _, results in known for _, label, _ in results})
    rows = ObjectRows()
    entries: list[VideoEntry] = []
    taken: set[str] = set()
    for where, stated, results in known:
        place = find_video(path.parent, stated)
        if place is None:
            text = f"its video {stated!r:.100} is not there: put it beside the file"
            faults.add("missing-video", text, place=where)
            continue
        name = place.name if place.name not in taken else f"{place.name}#{len(entries)}"
        taken.add(name)
        try:
            video, files = measured(place, name)
        except TrovidError as error:
            faults.add("unreadable-video", str(error), place=where)
            continue
        for number, (result_where, label, sequence) in enumerate(results):
            keys = _keys(sequence, video, result_where, faults)
            for frame, box in track_boxes(keys, video.num_frames):
                if frame >= video.num_frames:
                    text = f"frame {frame + 1} lies behind the video's end"
                    faults.add("frame-outside", text, place=result_where)
                    break
                rows.add(len(entries), frame, names.index(label), box, instance_id=number)
        entries.append(VideoEntry(video, str(place), range(video.num_frames), files))
    return Dataset(names, entries, rows.objects(), info={"name": "Label Studio"}, box_layout="xyxy")


Result = tuple[str, str, list[Any]]


def _tasks(path: Path, tasks: list[Any], faults: Faults) -> Iterator[tuple[str, str, list[Result]]]:
    """Place, stated video and tracks (place, label, sequence) of each annotated task."""
    for index, task in enumerate(tasks):
        where = f"{path}: task {index}"
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict):
            faults.add("unreadable-labels", "has no `data`; export as JSON", place=where)
            continue
        texts = [value for value in data.values() if isinstance(value, str)]
        stated = data.get("video") if isinstance(data.get("video"), str) else next(iter(texts), "")
        annotations = task.get("annotations")
        done = [
            found
            for found in (annotations if isinstance(annotations, list) else [])
            if isinstance(found, dict) and not found.get("was_cancelled")
        ]
        if done:
            yield where, str(stated), list(_results(done[0], where, faults))


def _results(annotation: Mapping[str, Any], where: str, faults: Faults) -> Iterator[Result]:
    results = annotation.get("result")
    for number, result in enumerate(results if isinstance(results, list) else []):
        place = f"{where} result {number}"
        if not isinstance(result, dict) or result.get("type") != RECTANGLE:
            continue
        value = result.get("value")
        labels = value.get("labels") if isinstance(value, dict) else None
        sequence = value.get("sequence") if isinstance(value, dict) else None
        if not isinstance(labels, list) or not labels or not isinstance(labels[0], str):
            faults.add("unknown-class", "has no label: give the region one", place=place)
        elif not isinstance(sequence, list):
            faults.add("unreadable-labels", "has no `sequence` of key frames", place=place)
        else:
            yield place, labels[0], sequence


def _keys(sequence: list[Any], video: Video, where: str, faults: Faults) -> list[KeyFrame]:
    keys = {}
    for number, entry in enumerate(sequence):
        try:
            values = [entry[k] for k in ("x", "y", "width", "height", "frame")]
            if not all(map(is_number, values)) or not 1 <= values[4] <= MOST_MEASURE:
                raise ValueError
            x, y, w, h, frame = values
            if frame != int(frame):
                raise ValueError
            x1, y1 = x / 100 * video.width, y / 100 * video.height
            box = (x1, y1, x1 + w / 100 * video.width, y1 + h / 100 * video.height)
        except (KeyError, TypeError, ValueError):
            text = f"key frame {number} must have frame (from 1), x, y, width, height"
            faults.add("unreadable-labels", text, place=where)
            continue
        if entry.get("rotation"):
            text = "a rotated rectangle cannot be read: turn it back or draw a straight one"
            faults.add("unreadable-labels", text, place=where)
            continue
        if not faults.collect and not (w > 0 and h > 0):
            text = f"key frame {number} must have a width and a height above 0"
            faults.add("box-degenerate", text, place=where)
        goes_on = bool(entry.get("enabled", True))
        keys[int(frame) - 1] = KeyFrame(int(frame) - 1, box, goes_on=goes_on)
    return [keys[frame] for frame in sorted(keys)]
