"""Videos as COCO's JSON names them: each frame by its file, in whatever folder it lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

VIDEOS = ("v0", "v1")


def coco_folder(
    folder: Path, called: str = "{video}/{frame}.png", *, every: int = 1, first: int = 0
) -> Path:
    """labels.json with two videos, whose boxes begin at their frame's number, and the pictures.

    Args:
        folder: Where to.
        called: The name of a frame's picture, from the folder.
        every: Of the six pictures of a video every how many is a frame of it.
        first: The `frame_id` of a video's first frame.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, video in enumerate(VIDEOS, 1):
        for frame in range(6):
            file = called.format(video=video, frame=frame)
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (96, 64), (40 * frame, 100 * number, 0)).save(folder / file)
            if frame % every == 0:
                place = {"id": len(images) + 1, "video_id": number}
                place["frame_id"] = first + frame // every
                images.append(place | {"file_name": file, "width": 96, "height": 64})
                ids = {"image_id": place["id"], "category_id": 1, "instance_id": 1}
                box = {"bbox": [frame, 10, 20, 20], "area": 400, "iscrowd": 0}
                annotations.append({"id": place["id"], **ids, **box})
    document = {
        "categories": [{"id": 1, "name": "car"}],
        "videos": [{"id": number, "name": name} for number, name in enumerate(VIDEOS, 1)],
        "images": images,
        "annotations": annotations,
    }
    (folder / "labels.json").write_text(json.dumps(document))
    return folder
