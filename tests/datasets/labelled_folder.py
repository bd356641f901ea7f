"""A folder of frame folders with labels written by hand, small and right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

WIDTH, HEIGHT, FRAMES = 96, 64, 6
VIDEOS = ("street", "kitchen", "garden", "yard", "park")


def write_frames(folder: Path, *, count: int = FRAMES, shade: int = 0) -> Path:
    """Frames 0001.png, 0002.png, ..., each of another grey."""
    folder.mkdir(parents=True)
    for index in range(count):
        colour = (shade % 256, 20 * index, 100)
        Image.new("RGB", (WIDTH, HEIGHT), colour).save(folder / f"{index + 1:04}.png")
    return folder


def folder_labels(videos: tuple[str, ...] = VIDEOS) -> dict[str, Any]:
    """Every second frame holds a cup that moves and a star that stands."""
    frames = {
        str(frame): [
            {"class": "cup", "box": [10 + frame, 10, 30 + frame, 40], "id": 1},
            {"class": "star", "box": [50, 20, 80, 60], "id": 2},
        ]
        for frame in range(0, FRAMES, 2)
    }
    return {"videos": {name: json.loads(json.dumps(frames)) for name in videos}}


def write_labels(folder: Path, labels: Any) -> Path:
    """labels.json of a folder."""
    (folder / "labels.json").write_text(labels if isinstance(labels, str) else json.dumps(labels))
    return folder


def labelled_folder(folder: Path, videos: tuple[str, ...] = VIDEOS) -> Path:
    """The folder, with five videos of six frames."""
    for number, name in enumerate(videos):
        write_frames(folder / name, shade=40 * number + 10)
    return write_labels(folder, folder_labels(videos))


def coco_vid_labels(videos: tuple[str, ...] = VIDEOS) -> dict[str, Any]:
    """The same labels as a COCO-VID document, which names the frames' files."""
    labels = folder_labels(videos)["videos"]
    classes = ["cup", "star"]
    images, annotations = [], []
    measures = {"width": WIDTH, "height": HEIGHT, "num_frames": FRAMES}
    for number, (_, frames) in enumerate(labels.items(), 1):
        for frame, objects in frames.items():
            image = {"id": len(images) + 1, "video_id": number, "frame_index": int(frame)}
            images.append(image | {"file_name": f"{int(frame) + 1:04}.png"})
            for thing in objects:
                x1, y1, x2, y2 = thing["box"]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image["id"],
                        "video_id": number,
                        "category_id": classes.index(thing["class"]) + 1,
                        "instance_id": thing["id"],
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                    }
                )
    return {
        "categories": [{"id": i, "name": name} for i, name in enumerate(classes, 1)],
        "videos": [
            {"id": i, "name": name, "file_name": name, **measures}
            for i, name in enumerate(labels, 1)
        ],
        "images": images,
        "annotations": annotations,
    }
