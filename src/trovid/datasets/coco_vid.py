"""Labels of videos in COCO-VID-style JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch

from trovid.errors import TrovidError
from trovid.structures import GroundTruth, Video

LARGEST_MEASURE = 10**7
_NUMBER = (int, float)
_FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "categories": {"id": int, "name": str},
    "videos": {
        "id": int,
        "name": str,
        "file_name": str,
        "width": int,
        "height": int,
        "num_frames": int,
    },
    "images": {"id": int, "video_id": int, "frame_index": int},
    "annotations": {
        "id": int,
        "image_id": int,
        "video_id": int,
        "instance_id": int,
        "category_id": int,
        "bbox": list,
    },
}
_OPTIONAL: dict[str, dict[str, type | tuple[type, ...]]] = {
    "videos": {"frame_rate": _NUMBER},
    "annotations": {
        "segmentation": dict,
        "deterioration": str,
        "strength": _NUMBER,
        "motion_iou": _NUMBER,
    },
}


class VideoLabels:
    """The labelled videos of one JSON file.

    Use `from_json`; the class itself takes a document that was checked.

    Attributes:
        class_names: Names of the classes in the order of their category ids; `labels` index them.
        videos: The videos in the file's order.
        raw: The JSON document.
    """

    def __init__(self, raw: dict[str, Any], folder: Path) -> None:
        self.raw = raw
        self._folder = folder
        categories = sorted(raw["categories"], key=lambda category: category["id"])
        self.class_names = tuple(category["name"] for category in categories)
        self._label_of = {category["id"]: i for i, category in enumerate(categories)}
        self.videos = [
            Video(
                record["name"],
                record["num_frames"],
                record["height"],
                record["width"],
                float(record.get("frame_rate", 0.0)),
            )
            for record in raw["videos"]
        ]
        self._files = {record["name"]: record["file_name"] for record in raw["videos"]}
        self._by_name = {video.name: video for video in self.videos}
        names = {record["id"]: record["name"] for record in raw["videos"]}
        frame_of = {image["id"]: image["frame_index"] for image in raw["images"]}
        self._labelled: dict[str, list[int]] = {video.name: [] for video in self.videos}
        for image in raw["images"]:
            self._labelled[names[image["video_id"]]].append(image["frame_index"])
        self._annotations: dict[str, list[list[dict[str, Any]]]] = {
            video.name: [[] for _ in range(video.num_frames)] for video in self.videos
        }
        for annotation in raw["annotations"]:
            frames = self._annotations[names[annotation["video_id"]]]
            frames[frame_of[annotation["image_id"]]].append(annotation)

    @classmethod
    def from_json(cls, path: str | Path) -> Self:
        """Reads and checks a file of labels.

        Args:
            path: The JSON file; video files are looked for relative to its folder.

        Raises:
            TrovidError: If the file cannot be read or an entry does not fit; the message names the
                file, the list, the position in it and the field.
        """
        path = Path(path)
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise TrovidError(f"{path}: cannot be read: {error.strerror}") from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise TrovidError(f"{path}: is no JSON: {error}") from error
        try:
            _check(raw)
        except _Misfit as error:
            raise TrovidError(f"{path}: {error}") from error
        return cls(raw, path.parent)

    def path(self, video: Video) -> Path:
        """The video's file, or its folder of images."""
        return self._folder / self._files[video.name]

    def labelled_frames(self, video_name: str) -> list[int]:
        """Indices of a video's frames that were labelled (with objects or without), ascending."""
        return sorted(self._labelled[video_name])

    def ground_truth(
        self, video_name: str, *, frames: Sequence[int] | None = None, masks: bool = False
    ) -> list[GroundTruth]:
        """The labelled objects of a video, one entry a frame; frames without labels are empty.

        Args:
            video_name: Name of one of `videos`.
            frames: Indices of the frames wanted; None for all.
            masks: Whether to decode the masks (where every object of the video has one).

        Raises:
            KeyError: If there is no such video.
        """
        annotations = self._annotations[video_name]
        video = self._by_name[video_name]
        every = [annotation for frame in annotations for annotation in frame]
        has = {
            key: all(key in annotation for annotation in every)
            for key in ("deterioration", "strength", "motion_iou", "segmentation")
        }
        found = []
        for index in range(video.num_frames) if frames is None else frames:
            frame = annotations[index]
            boxes = torch.tensor([a["bbox"] for a in frame], dtype=torch.float32).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            found.append(
                GroundTruth(
                    boxes=boxes,
                    labels=torch.tensor(
                        [self._label_of[a["category_id"]] for a in frame], dtype=torch.int64
                    ),
                    instance_ids=torch.tensor([a["instance_id"] for a in frame], dtype=torch.int64),
                    class_names=self.class_names,
                    frame_index=index,
                    image_size=(video.height, video.width),
                    deteriorations=tuple(a["deterioration"] for a in frame)
                    if has["deterioration"]
                    else None,
                    strengths=torch.tensor([float(a["strength"]) for a in frame])
                    if has["strength"]
                    else None,
                    motion_iou=torch.tensor([float(a["motion_iou"]) for a in frame])
                    if has["motion_iou"]
                    else None,
                    masks=_decode(frame, video) if masks and has["segmentation"] else None,
                )
            )
        return found


def _decode(annotations: list[dict[str, Any]], video: Video) -> torch.Tensor:
    from faster_coco_eval.core import mask

    if not annotations:
        return torch.zeros((0, video.height, video.width), dtype=torch.bool)
    codes = [annotation["segmentation"] for annotation in annotations]
    return torch.from_numpy(mask.decode(codes)).permute(2, 0, 1).bool()


class _Misfit(Exception):
    """What does not fit in a document, and where."""


def _check(raw: object) -> None:
    if not isinstance(raw, dict):
        raise _Misfit(f"must hold an object, but holds {type(raw).__name__}")
    for key, fields in _FIELDS.items():
        entries = raw.get(key)
        if not isinstance(entries, list):
            raise _Misfit(f"`{key}` must be a list, but is {_kind(entries)}")
        for index, entry in enumerate(entries):
            _check_fields(entry, f"{key}[{index}]", fields, _OPTIONAL.get(key, {}))
        _check_unique(entries, key, "id")
    if not raw["categories"]:
        raise _Misfit("`categories` is empty; name at least one class")
    _check_unique(raw["categories"], "categories", "name")
    _check_unique(raw["videos"], "videos", "name")
    _check_videos(raw["videos"])
    _check_images(raw)
    _check_annotations(raw)


def _check_fields(
    entry: object,
    where: str,
    fields: Mapping[str, type | tuple[type, ...]],
    optional: Mapping[str, type | tuple[type, ...]],
) -> None:
    if not isinstance(entry, dict):
        raise _Misfit(f"{where} must be an object, but is {_kind(entry)}")
    for name, wanted in {**fields, **optional}.items():
        if name not in entry:
            if name in optional:
                continue
            raise _Misfit(f"{where} has no `{name}`")
        if not isinstance(entry[name], wanted) or isinstance(entry[name], bool):
            kind = "a number" if wanted is _NUMBER else _WORDS[wanted]
            raise _Misfit(f"{where}.{name} must be {kind}, but is {_kind(entry[name])}")


_WORDS: dict[Any, str] = {int: "an integer", str: "text", list: "a list", dict: "an object"}


def _kind(value: object) -> str:
    return "missing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"


def _check_unique(entries: list[dict[str, Any]], key: str, field: str) -> None:
    first: dict[object, int] = {}
    for index, entry in enumerate(entries):
        value = entry[field]
        if value in first:
            raise _Misfit(f"{key}[{index}].{field} repeats {value!r} of {key}[{first[value]}]")
        first[value] = index


def _check_videos(videos: list[dict[str, Any]]) -> None:
    for index, video in enumerate(videos):
        for field in ("width", "height", "num_frames"):
            if not 1 <= video[field] <= LARGEST_MEASURE:
                raise _Misfit(
                    f"videos[{index}].{field} must lie in 1..{LARGEST_MEASURE}, "
                    f"but is {video[field]}"
                )
        if video.get("frame_rate", 0) < 0:
            raise _Misfit(f"videos[{index}].frame_rate must not be negative")


def _check_images(raw: dict[str, Any]) -> None:
    lengths = {video["id"]: video["num_frames"] for video in raw["videos"]}
    seen: dict[tuple[int, int], int] = {}
    for index, image in enumerate(raw["images"]):
        where = f"images[{index}]"
        video, frame = image["video_id"], image["frame_index"]
        if video not in lengths:
            raise _Misfit(f"{where}.video_id is {video}, but no video has this id")
        if not 0 <= frame < lengths[video]:
            raise _Misfit(
                f"{where}.frame_index must lie in 0..{lengths[video] - 1}, but is {frame}"
            )
        if (video, frame) in seen:
            raise _Misfit(
                f"{where}.frame_index repeats frame {frame} of images[{seen[video, frame]}]"
            )
        seen[video, frame] = index


def _check_annotations(raw: dict[str, Any]) -> None:
    video_of = {image["id"]: image["video_id"] for image in raw["images"]}
    categories = {category["id"] for category in raw["categories"]}
    sizes = {video["id"]: [video["height"], video["width"]] for video in raw["videos"]}
    for index, annotation in enumerate(raw["annotations"]):
        where = f"annotations[{index}]"
        image, video = annotation["image_id"], annotation["video_id"]
        if image not in video_of:
            raise _Misfit(f"{where}.image_id is {image}, but no image has this id")
        if video_of[image] != video:
            raise _Misfit(
                f"{where}.video_id is {video}, but its image is of video {video_of[image]}"
            )
        if annotation["category_id"] not in categories:
            wrong = annotation["category_id"]
            raise _Misfit(f"{where}.category_id is {wrong}, but no category has this id")
        box = annotation["bbox"]
        if len(box) != 4 or not all(
            isinstance(side, _NUMBER) and not isinstance(side, bool) and abs(side) < 1e9
            for side in box
        ):
            raise _Misfit(f"{where}.bbox must be four numbers x, y, width, height, but is {box}")
        if box[2] <= 0 or box[3] <= 0:
            raise _Misfit(f"{where}.bbox must have a width and a height above 0, but is {box}")
        if "segmentation" in annotation:
            code = annotation["segmentation"]
            if code.get("size") != sizes[video] or not isinstance(code.get("counts"), str):
                raise _Misfit(
                    f"{where}.segmentation must be a compressed RLE of size {sizes[video]}, "
                    f"but has size {code.get('size')}"
                )
