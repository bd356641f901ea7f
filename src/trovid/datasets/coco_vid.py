"""Labels of videos in COCO-VID-style JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.json_lists import entries, members, value
from trovid.datasets.objects import ObjectRows
from trovid.errors import TrovidError
from trovid.structures import Masks, Video

LARGEST_MEASURE, LARGEST_ID = 10**7, 2**62
_NUMBER = (int, float)
Kinds = Mapping[str, type | tuple[type, ...]]
_FIELDS: dict[str, Kinds] = {
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
        "category_id": int,
        "bbox": list,
    },
}
_ATTRIBUTES: Kinds = {
    "deterioration": str,
    "strength": _NUMBER,
    "motion_iou": _NUMBER,
    "occluded": _NUMBER,
    "generated": _NUMBER,
}
_MASKS = ("segmentation", "visible_segmentation")
_OPTIONAL: dict[str, Kinds] = {
    "videos": {"frame_rate": _NUMBER},
    "annotations": {"instance_id": int, **dict.fromkeys(_MASKS, (dict, list)), **_ATTRIBUTES},
}
_WORDS: dict[Any, str] = {
    int: "an integer",
    str: "text",
    list: "a list",
    dict: "an object",
    _NUMBER: "a number",
    (dict, list): "a run-length code or polygons",
}
_ABSENT = object()
Record = dict[str, Any]


def read_coco_vid(path: str | Path) -> Dataset:
    """Reads and checks a file of labels.

    An object without `instance_id` is one of its own; `iscrowd` and `ignore` are 0 where they are
    not there.

    Args:
        path: The JSON file; video files are looked for relative to its folder.

    Raises:
        TrovidError: If the file cannot be read or an entry does not fit; the message names the
            file, the list, the position in it and the field.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        return _dataset(text, path.parent)
    except OSError as error:
        raise TrovidError(f"{path}: cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TrovidError(f"{path}: is no JSON: {error}") from error
    except (_Misfit, TypeError) as error:
        raise TrovidError(f"{path}: {error}") from error


class _Misfit(Exception):
    """What does not fit in a document, and where."""


def _dataset(text: str, folder: Path) -> Dataset:
    at = members(text)
    categories = sorted(_records(text, at, "categories", "name"), key=lambda record: record["id"])
    if not categories:
        raise _Misfit("`categories` is empty; name at least one class")
    labels = {record["id"]: label for label, record in enumerate(categories)}
    videos = list(_records(text, at, "videos", "name"))
    for number, video in enumerate(videos):
        _check_video(video, f"videos[{number}]")
    labelled: list[list[int]] = [[] for _ in videos]
    frames: dict[int, tuple[int, int]] = {}
    for number, image in _images(text, at, videos):
        labelled[number].append(image["frame_index"])
        frames[image["id"]] = number, image["frame_index"]
    rows = ObjectRows()
    for index, annotation in enumerate(_records(text, at, "annotations")):
        where = f"annotations[{index}]"
        if annotation["image_id"] not in frames:
            raise _Misfit(f"{where}.image_id is {annotation['image_id']}, but no image has this id")
        number, frame = frames[annotation["image_id"]]
        _check_annotation(annotation, where, videos[number], labels)
        masks = [_mask(annotation, name, where, videos[number]) for name in _MASKS]
        _add(rows, annotation, number, frame, labels[annotation["category_id"]], masks)
    info = value(text, at["info"]) if "info" in at else None
    return Dataset(
        [record["name"] for record in categories],
        (
            VideoEntry(_video(record), str(folder / record["file_name"]), sorted(own))
            for record, own in zip(videos, labelled, strict=True)
        ),
        rows.objects(),
        info=info if isinstance(info, dict) else None,
    )


def _video(record: Record) -> Video:
    return Video(
        record["name"],
        record["num_frames"],
        record["height"],
        record["width"],
        float(record.get("frame_rate", 0.0)),
    )


def _add(
    rows: ObjectRows,
    annotation: Record,
    video: int,
    frame: int,
    label: int,
    masks: Sequence[bytes],
) -> None:
    x, y, width, height = annotation["bbox"]
    instance_id = annotation.get("instance_id", -1)
    rows.add(
        video,
        frame,
        label,
        (x, y, x + width, y + height),
        instance_id=None if instance_id < 0 else instance_id,
        crowd=bool(annotation.get("iscrowd", 0)),
        ignore=bool(annotation.get("ignore", 0)),
        attributes={name: annotation[name] for name in _ATTRIBUTES if name in annotation},
        mask=masks[0],
        visible_mask=masks[1],
    )


def _records(text: str, at: Mapping[str, int], key: str, *unique: str) -> Iterator[Record]:
    """The entries of a list, whose `id` and `unique` fields must differ."""
    if key not in at:
        raise _Misfit(f"`{key}` must be a list, but is missing")
    if text[at[key]] != "[":
        raise _Misfit(f"`{key}` must be a list, but is {_kind(value(text, at[key]))}")
    first: dict[str, dict[object, int]] = {field: {} for field in ("id", *unique)}
    for index, entry in enumerate(entries(text, at[key])):
        where = f"{key}[{index}]"
        if not isinstance(entry, dict):
            raise _Misfit(f"{where} must be an object, but is {_kind(entry)}")
        _check_fields(entry, where, key)
        for field, seen in first.items():
            before = seen.setdefault(entry[field], index)
            if before != index:
                raise _Misfit(f"{where}.{field} repeats {entry[field]!r} of {key}[{before}]")
        yield entry


def _images(
    text: str, at: Mapping[str, int], videos: Sequence[Record]
) -> Iterator[tuple[int, Record]]:
    """The number of each labelled frame's video, and the frame's record."""
    numbers = {video["id"]: number for number, video in enumerate(videos)}
    first: dict[tuple[int, int], int] = {}
    for index, image in enumerate(_records(text, at, "images")):
        where = f"images[{index}]"
        video, frame = image["video_id"], image["frame_index"]
        if video not in numbers:
            raise _Misfit(f"{where}.video_id is {video}, but no video has this id")
        last = videos[numbers[video]]["num_frames"] - 1
        if not 0 <= frame <= last:
            raise _Misfit(f"{where}.frame_index must lie in 0..{last}, but is {frame}")
        before = first.setdefault((video, frame), index)
        if before != index:
            raise _Misfit(f"{where}.frame_index repeats frame {frame} of images[{before}]")
        yield numbers[video], image


def _check_fields(entry: Record, where: str, key: str) -> None:
    for name in _FIELDS[key]:
        if name not in entry:
            raise _Misfit(f"{where} has no `{name}`")
    for name, wanted in {**_FIELDS[key], **_OPTIONAL.get(key, {})}.items():
        value = entry.get(name, _ABSENT)
        if value is _ABSENT:
            continue
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise _Misfit(f"{where}.{name} must be {_WORDS[wanted]}, but is {_kind(value)}")


def _kind(value: object) -> str:
    return "missing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"


def _check_video(video: Record, where: str) -> None:
    for field in ("width", "height", "num_frames"):
        if not 1 <= video[field] <= LARGEST_MEASURE:
            raise _Misfit(
                f"{where}.{field} must lie in 1..{LARGEST_MEASURE}, but is {video[field]}"
            )
    if video.get("frame_rate", 0) < 0:
        raise _Misfit(f"{where}.frame_rate must not be negative")


def _check_annotation(
    annotation: Record, where: str, video: Record, labels: Mapping[int, int]
) -> None:
    if annotation["video_id"] != video["id"]:
        raise _Misfit(
            f"{where}.video_id is {annotation['video_id']}, but its image is of video {video['id']}"
        )
    if annotation["category_id"] not in labels:
        wrong = annotation["category_id"]
        raise _Misfit(f"{where}.category_id is {wrong}, but no category has this id")
    if annotation.get("instance_id", 0) >= LARGEST_ID:
        raise _Misfit(f"{where}.instance_id must lie below 2**62")
    for flag in ("iscrowd", "ignore"):
        if annotation.get(flag, 0) not in (0, 1):
            raise _Misfit(f"{where}.{flag} must be 0 or 1, but is {annotation[flag]!r}")
    box = annotation["bbox"]
    if len(box) != 4 or not all(
        isinstance(side, _NUMBER) and not isinstance(side, bool) and abs(side) < 1e9 for side in box
    ):
        raise _Misfit(f"{where}.bbox must be four numbers x, y, width, height, but is {box}")
    if box[2] <= 0 or box[3] <= 0:
        raise _Misfit(f"{where}.bbox must have a width and a height above 0, but is {box}")


def _mask(annotation: Record, name: str, where: str, video: Record) -> bytes:
    """The compressed run-length code of one of an annotation's masks, b"" where it has none."""
    if name not in annotation:
        return b""
    try:
        return Masks.from_coco([annotation[name]], (video["height"], video["width"])).counts[0]
    except ValueError as error:
        reason = str(error).removeprefix("mask 0 ")
        raise _Misfit(f"{where}.{name} {reason}") from error
