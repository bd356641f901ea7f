"""YouTube-VIS: one JSON file, and the labelled frames as pictures beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset
from trovid.datasets.true_tracks import true_tracks
from trovid.datasets.writing.places import plain_names, write_frames
from trovid.errors import TrovidError
from trovid.files import replacing
from trovid.structures import Masks


def write(path: Path, dataset: Dataset) -> None:
    """Writes a JSON file, and the labelled frames into JPEGImages/VIDEO beside it.

    Raises:
        TrovidError: If an object has no mask.
    """
    if dataset.objects.masks is None:
        raise TrovidError("the form youtube-vis is of masks, and these labels have none")
    videos, annotations, names = [], [], plain_names(dataset)
    for number, video in enumerate(dataset.videos, 1):
        folder = names[video.name]
        place = path.parent / "JPEGImages" / folder
        files = write_frames(place, dataset, video.name, called="{:05}.png")
        if not files:
            continue
        videos.append(
            {
                "id": number,
                "file_names": [f"{folder}/{file.name}" for file in files.values()],
                "width": video.width,
                "height": video.height,
                "length": len(files),
            }
        )
        for entry in _annotations(dataset, video.name):
            annotations.append({"id": len(annotations) + 1, "video_id": number, **entry})
    document = {
        "info": {**dataset.info, **({"amodal": True} if dataset.amodal else {})},
        "categories": [{"id": i, "name": name} for i, name in enumerate(dataset.class_names, 1)],
        "videos": videos,
        "annotations": annotations,
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps(document), encoding="utf-8")


def _annotations(dataset: Dataset, name: str) -> list[dict[str, Any]]:
    """One entry an object of a video, with an entry a labelled frame."""
    tracks = true_tracks(dataset, name)
    length = len(tracks.frames)
    found: list[dict[str, Any]] = [
        {
            "category_id": int(tracks.labels[track]) + 1,
            "iscrowd": int(tracks.crowd[track]),
            "segmentations": [None] * length,
            "bboxes": [None] * length,
            "areas": [None] * length,
        }
        for track in range(len(tracks))
    ]
    for frame, (rows, masks) in enumerate(tracks.frames):
        assert isinstance(masks, Masks)
        boxes = masks.boxes
        boxes[:, 2:] -= boxes[:, :2]
        columns = (masks.to_coco(), boxes.tolist(), masks.areas.tolist())
        for row, code, box, area in zip(rows.tolist(), *columns, strict=True):
            found[row]["segmentations"][frame] = code
            found[row]["bboxes"][frame] = box
            found[row]["areas"][frame] = area
    return found
