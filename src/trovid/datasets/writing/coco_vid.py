"""COCO-VID as trovid writes and reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from trovid.datasets.contract import Dataset
from trovid.datasets.objects import known
from trovid.datasets.writing.places import frame_files, name_from, place_of
from trovid.files import replacing


def write(path: Path, dataset: Dataset) -> None:
    """Writes a JSON file; a video has `files` where its labels name the file of every frame."""
    objects = dataset.objects
    videos, images, annotations = [], [], []
    image_ids: dict[tuple[int, int], int] = {}
    for number, video in enumerate(dataset.videos, 1):
        every, some = frame_files(dataset, video.name), dataset.named_files(video.name)
        videos.append(
            {
                "id": number,
                "name": video.name,
                "file_name": name_from(path.parent, place_of(dataset, video.name)),
                **{k: getattr(video, k) for k in ("width", "height", "num_frames", "frame_rate")},
                **({"files": every} if every else {}),
            }
        )
        for frame in dataset.labelled_frames(video.name).tolist():
            image_ids[number - 1, frame] = len(images) + 1
            image: dict[str, Any] = {"id": len(images) + 1, "video_id": number}
            named = {} if every or not some or not some[frame] else {"file_name": some[frame]}
            images.append({**image, "frame_index": frame, **named})
    attributes = {name: (column, known(column)) for name, column in objects.attributes.items()}
    for row in range(len(objects)):
        video = int(objects.videos[row])
        x1, y1, x2, y2 = objects.boxes[row].tolist()
        annotation = {
            "id": row + 1,
            "image_id": image_ids[video, int(objects.frames[row])],
            "video_id": video + 1,
            "category_id": int(objects.labels[row]) + 1,
            "instance_id": int(objects.instance_ids[row]),
            "bbox": [round(side, 3) for side in (x1, y1, x2 - x1, y2 - y1)],
            "area": round((x2 - x1) * (y2 - y1), 3),
            "iscrowd": int(objects.crowd[row]),
            **({"ignore": 1} if objects.ignore[row] else {}),
            **{n: _plain(column[row]) for n, (column, told) in attributes.items() if told[row]},
        }
        measures = dataset.videos[video]
        for key, masks in (
            ("segmentation", objects.masks),
            ("visible_segmentation", objects.visible_masks),
        ):
            if masks is not None and masks[row]:
                size = [measures.height, measures.width]
                annotation[key] = {"size": size, "counts": masks[row].decode("ascii")}
        annotations.append(annotation)
    categories = [{"id": i, "name": name} for i, name in enumerate(dataset.class_names, 1)]
    document = {
        "info": dataset.info,
        "categories": categories,
        "videos": videos,
        "images": images,
        "annotations": annotations,
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps(document), encoding="utf-8")


def _plain(value: Any) -> float | str:
    return str(value) if isinstance(value, np.str_) else round(float(value), 6)
