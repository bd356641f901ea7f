"""The form that is written by hand: labels.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from trovid.datasets.contract import Dataset
from trovid.datasets.writing.places import frame_files, name_from, place_of
from trovid.errors import TrovidError
from trovid.files import replacing


def write(path: Path, dataset: Dataset) -> None:
    """Writes a JSON file, a line a frame.

    Raises:
        TrovidError: If the frames of a video lie in several folders, or those of several videos in
            one: the form names a video by its folder.
    """
    objects, names = dataset.objects, _names(path.parent, dataset)
    numbers = _numbers(objects.instance_ids)
    lines = []
    for video in dataset.videos:
        rows = dataset.rows(video.name)
        files = frame_files(dataset, video.name)
        frames: dict[int, list[dict[str, Any]]] = {
            frame: [] for frame in dataset.labelled_frames(video.name).tolist()
        }
        for row in range(rows.start, rows.stop):
            thing: dict[str, Any] = {
                "class": dataset.class_names[objects.labels[row]],
                "box": [round(side, 3) for side in objects.boxes[row].tolist()],
            }
            if numbers[row] >= 0:
                thing["id"] = int(numbers[row])
            thing |= {k: True for k in ("crowd", "ignore") if getattr(objects, k)[row]}
            if objects.masks is not None and objects.masks[row]:
                size = [video.height, video.width]
                thing["mask"] = {"size": size, "counts": objects.masks[row].decode("ascii")}
            frames.setdefault(int(objects.frames[row]), []).append(thing)
        keys = {k: files[k] if files else str(k) for k in frames}
        inner = ",\n".join(
            f"  {json.dumps(keys[k])}: {json.dumps(found)}" for k, found in frames.items()
        )
        name = json.dumps(names[video.name])
        lines.append(f" {name}: {{\n{inner}\n }}" if inner else f" {name}: {{}}")
    head = json.dumps(list(dataset.class_names))
    body = ",\n".join(lines)
    with replacing(path) as partial:
        partial.write_text(f'{{"classes": {head},\n"videos": {{\n{body}\n}}}}\n', encoding="utf-8")


def _names(folder: Path, dataset: Dataset) -> dict[str, str]:
    """By each video's name that in the file."""
    names: dict[str, str] = {}
    first: dict[str, str] = {}
    for video in dataset.videos:
        place = place_of(dataset, video.name)
        if any(Path(file).name != file for file in frame_files(dataset, video.name) or ()):
            raise TrovidError(
                f"video {video.name!r} cannot be written as own: its frames lie in several folders "
                f"of {place}; put them into one, or write coco-vid"
            )
        names[video.name] = name_from(folder, place)
        other = first.setdefault(names[video.name], video.name)
        if other != video.name:
            raise TrovidError(
                f"videos {other!r} and {video.name!r} cannot be written as own: both lie in "
                f"{place}, by which a video is named; put the frames of each into a folder of its "
                "own, or write coco-vid"
            )
    return names


def _numbers(ids: np.ndarray) -> np.ndarray:
    """Instance ids; -1 for objects that are alone with theirs."""
    _, places, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return np.where(counts[places] > 1, ids, -1)
