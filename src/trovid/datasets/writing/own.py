"""The form that is written by hand: labels.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from trovid.datasets.contract import Dataset
from trovid.datasets.writing.places import name_from, place_of
from trovid.files import replacing


def write(path: Path, dataset: Dataset) -> None:
    """Writes a JSON file, a line a frame."""
    objects = dataset.objects
    numbers = _numbers(objects.instance_ids)
    lines = []
    for video in dataset.videos:
        rows = dataset.rows(video.name)
        files = dataset.named_files(video.name)
        named = files is not None and all(files)
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
        keys = {k: Path(files[k]).name if files and named else str(k) for k in frames}
        inner = ",\n".join(
            f"  {json.dumps(keys[k])}: {json.dumps(found)}" for k, found in frames.items()
        )
        name = json.dumps(name_from(path.parent, place_of(dataset, video.name)))
        lines.append(f" {name}: {{\n{inner}\n }}" if inner else f" {name}: {{}}")
    head = json.dumps(list(dataset.class_names))
    body = ",\n".join(lines)
    with replacing(path) as partial:
        partial.write_text(f'{{"classes": {head},\n"videos": {{\n{body}\n}}}}\n', encoding="utf-8")


def _numbers(ids: np.ndarray) -> np.ndarray:
    """Instance ids; -1 for objects that are alone with theirs."""
    _, places, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return np.where(counts[places] > 1, ids, -1)
