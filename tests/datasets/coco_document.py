"""A data set as a COCO-VID document."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset


def write_coco_vid(path: Path, dataset: Dataset) -> None:
    """Videos, labelled frames, boxes, classes, instances, masks; the videos' paths are absolute."""
    images, annotations = [], []
    videos: list[dict[str, Any]] = []
    numbers = count(1)
    for video_id, video in enumerate(dataset.videos, 1):
        measures = {name: getattr(video, name) for name in ("width", "height", "num_frames")}
        file_name = str(dataset.path(video.name).resolve())
        videos.append({"id": video_id, "name": video.name, "file_name": file_name, **measures})
        frames = dataset.labelled_frames(video.name).tolist()
        for truth in dataset.ground_truth(video.name, frames=frames, masks=True):
            of_video = {"video_id": video_id}
            image = {"id": next(numbers), **of_video, "frame_index": truth.frame_index}
            images.append(image)
            masks = [{}] * len(truth)
            if truth.masks is not None:
                masks = [{"segmentation": code} for code in truth.masks.to_coco()]
            for box, label, instance, mask in zip(
                truth.boxes.tolist(),
                truth.labels.tolist(),
                truth.instance_ids.tolist(),
                masks,
                strict=True,
            ):
                x1, y1, x2, y2 = box
                annotations.append(
                    {
                        "id": next(numbers),
                        "image_id": image["id"],
                        **of_video,
                        "instance_id": instance,
                        "category_id": label,
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        **mask,
                    }
                )
    document = {
        "categories": [{"id": i, "name": name} for i, name in enumerate(dataset.class_names)],
        "videos": videos,
        "images": images,
        "annotations": annotations,
    }
    path.write_text(json.dumps(document))
