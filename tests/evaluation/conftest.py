"""Labels and predictions to evaluate, written by hand or drawn at random."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.contract import Dataset
from trovid.structures import Detections

CLASSES = ("cat", "dog", "owl")
KINDS = ("none", "motion_blur", "occlusion")


def _annotation(object_: dict) -> dict:
    x1, y1, x2, y2 = object_["box"]
    optional = ("deterioration", "strength", "motion_iou", "ignore")
    extra = {name: object_[name] for name in optional if name in object_}
    return {
        "category_id": object_["label"] + 1,
        "instance_id": object_.get("instance_id", 1),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": object_.get("crowd", 0),
        **extra,
    }


@pytest.fixture
def write_labels(tmp_path) -> Callable[..., Path]:
    """Writes COCO-VID labels: for each video's name its frames, each a list of objects.

    An object is {"box": [x1, y1, x2, y2], "label": index, "deterioration", "strength",
    "motion_iou", "crowd", "ignore"}, all but the first two optional.
    """

    def write(videos: dict[str, list[list[dict]]], class_names=CLASSES) -> Path:
        data = {
            "info": {},
            "categories": [{"id": i + 1, "name": name} for i, name in enumerate(class_names)],
            "videos": [],
            "images": [],
            "annotations": [],
        }
        for number, (name, frames) in enumerate(videos.items(), 1):
            size = {"width": 200, "height": 200}
            video = {"id": number, "name": name, "file_name": f"{name}.mp4", "frame_rate": 10.0}
            data["videos"].append({**video, **size, "num_frames": len(frames)})
            for index, objects in enumerate(frames):
                image = len(data["images"]) + 1
                data["images"].append(
                    {"id": image, "video_id": number, "frame_index": index, **size}
                )
                for object_ in objects:
                    ids = {"id": len(data["annotations"]) + 1, "image_id": image}
                    data["annotations"].append({**ids, "video_id": number, **_annotation(object_)})
        path = tmp_path / "labels.json"
        path.write_text(json.dumps(data))
        return path

    return write


@pytest.fixture
def make_labels(write_labels) -> Callable[..., Dataset]:
    """As `write_labels`, read again."""
    return lambda *args, **kwargs: read_coco_vid(write_labels(*args, **kwargs))


def frame(found: list[tuple], index: int = 0, class_names=CLASSES) -> Detections:
    """Detections of one frame from (box, label, score) tuples, in double precision."""
    boxes = torch.tensor([f[0] for f in found], dtype=torch.float64).reshape(-1, 4)
    return Detections(
        boxes=boxes,
        labels=torch.tensor([f[1] for f in found], dtype=torch.int64),
        scores=torch.tensor([f[2] for f in found], dtype=torch.float64),
        class_names=class_names,
        frame_index=index,
    )


@pytest.fixture
def make_frame() -> Callable[..., Detections]:
    return frame


def random_videos(
    seed: int, *, clips: int, frames: int = 6, ignored: float = 0.0
) -> dict[str, list[list[dict]]]:
    """Objects that move through clips; some frames are empty.

    Of the objects a part of `ignored` is a crowd, as large a one is ignored, some are both.
    """
    rng, coins = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    videos = {}
    for clip in range(clips):
        starts = rng.uniform(0, 120, (4, 2))
        sizes = rng.uniform(15, 60, (4, 2))
        labels = rng.integers(0, len(CLASSES), 4)
        videos[f"clip_{clip}"] = [
            [
                {
                    "box": [*(starts[i] + t * 3), *(starts[i] + t * 3 + sizes[i])],
                    "label": int(labels[i]),
                    "instance_id": i + 1,
                    "deterioration": (kind := str(rng.choice(KINDS))),
                    "strength": 0.0 if kind == "none" else float(rng.uniform(0.5, 1.5)),
                    "motion_iou": float(rng.uniform(0.5, 1)),
                    "crowd": int(coins.random() < ignored),
                    "ignore": int(coins.random() < ignored),
                }
                for i in range(4)
                if rng.random() < 0.7
            ]
            for t in range(frames)
        ]
    return videos


def random_predictions(seed: int, videos: dict[str, list[list[dict]]]) -> dict:
    """Found, missed, displaced, doubled, misnamed and invented objects."""
    rng = np.random.default_rng(seed)
    predictions = {}
    for name, frames in videos.items():
        predictions[name] = []
        for index, objects in enumerate(frames):
            found = []
            for object_ in objects:
                for _ in range(int(rng.integers(0, 4))):
                    box = np.array(object_["box"]) + rng.normal(0, 4, 4)
                    label = object_["label"] if rng.random() < 0.8 else int(rng.integers(0, 3))
                    found.append((np.sort(box.reshape(2, 2), 0).ravel(), label, rng.random()))
            for _ in range(int(rng.integers(0, 3))):
                corner = rng.uniform(0, 150, 2)
                box = [*corner, *(corner + rng.uniform(10, 50, 2))]
                found.append((box, int(rng.integers(0, 3)), rng.random() * 0.6))
            rng.shuffle(found := [(list(map(float, b)), c, float(s)) for b, c, s in found])
            predictions[name].append(frame(found, index))
    return predictions


@pytest.fixture
def random_case(make_labels) -> Callable[..., tuple]:
    """(predictions, labels) of some random clips."""

    def make(seed: int, *, clips: int = 8, models: int = 1, ignored: float = 0.0) -> tuple:
        videos = random_videos(seed, clips=clips, ignored=ignored)
        made = [random_predictions(seed + 100 + m, videos) for m in range(models)]
        return (*made, make_labels(videos))

    return make
