"""COCO's JSON: pictures by themselves, or frames of videos as mmtracking writes COCO-VID."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset, SourceIds, VideoEntry
from trovid.datasets.findings import Faults
from trovid.datasets.json_entries import NUMBER, Entries, Kinds, Misfit, Record
from trovid.datasets.json_files import read_text
from trovid.datasets.objects import ObjectRows
from trovid.datasets.ranges import MOST_MEASURE, MOST_RATE, is_number
from trovid.errors import TrovidError
from trovid.structures import Masks, Video
from trovid.video.images import natural_key

_FIELDS: Mapping[str, Kinds] = {
    "categories": {"id": int, "name": str},
    "videos": {"id": int, "name": str},
    "images": {"id": int, "file_name": str, "width": int, "height": int},
    "annotations": {"id": int, "image_id": int, "category_id": int, "bbox": list},
}
_OPTIONAL: Mapping[str, Kinds] = {
    "videos": {"fps": NUMBER},
    "images": {"video_id": int, "frame_id": int, "is_vid_train_frame": bool},
    "annotations": {
        "instance_id": int,
        "segmentation": (dict, list),
        "iscrowd": (int, bool),
        "ignore": (int, bool),
    },
}
_ATTRIBUTES = ("occluded", "generated")
PLACES = (
    *(".", "images", "..", "../images", "../Data/VID", "../Data/DET", "../Data", "../data"),
    *("{stem}", "../{stem}", "../images/{stem}", "../train", "../val", "../test"),
    *("../JPEGImages", "../../Data/VID"),
)
"""Where the folder of the pictures may lie, from the JSON file; {stem}: its name (without
`instances_`)."""


def read_coco(path: Path, *, faults: Faults | None = None) -> Dataset:
    """Reads and checks a file of labels.

    A picture without `video_id` is a video of one frame. The frames of a video (`video_id`) are its
    pictures in the order of `frame_id`; where some have `is_vid_train_frame`, those alone are
    labelled and the others may support them. `iscrowd` marks boxes that are not to be found;
    polygons and run-length codes become masks.

    Args:
        path: The JSON file; pictures are looked for beside it (`PLACES`).
        faults: What to do about an entry that does not fit; None raises.

    Raises:
        TrovidError: If the file cannot be read or an entry does not fit; the message names the
            file, the list, the position in it and the field.
    """
    text = read_text(path)
    try:
        return _dataset(Entries(text, path, faults or Faults(), _FIELDS, _OPTIONAL))
    except json.JSONDecodeError as error:
        raise TrovidError(f"{path}:{error.lineno}: is no JSON: {error.msg}") from error
    except RecursionError as error:
        raise TrovidError(f"{path}: is no JSON: too deeply nested") from error
    except ValueError as error:  # a number of thousands of digits
        raise TrovidError(f"{path}: is no JSON: {error}") from error
    except (Misfit, TypeError) as error:
        raise TrovidError(f"{path}: {error}") from error


@dataclass
class _Frames:
    """The pictures of a video."""

    name: str
    rate: float
    images: list[Record]


def _dataset(source: Entries) -> Dataset:
    categories = sorted(
        (record for _, record in source.records("categories", "name")), key=lambda r: r["id"]
    )
    if not categories:
        raise Misfit("`categories` is empty; name at least one class")
    labels = {record["id"]: label for label, record in enumerate(categories)}
    videos = _videos(source)
    places: dict[int, tuple[int, int]] = {}
    sizes: list[tuple[int, int]] = []
    for number, video in enumerate(videos):
        _in_order(video, source)
        for frame, image in enumerate(video.images):
            places[image["id"]] = number, frame
        sizes.append((video.images[0]["height"], video.images[0]["width"]))
    rows = ObjectRows()
    for where, annotation in source.records("annotations"):
        if source.fits(_check, annotation, where, places, labels, source.faults.collect):
            number, frame = places[annotation["image_id"]]
            mask = _mask(source, annotation, where, sizes[number])
            _add(rows, annotation, number, frame, labels[annotation["category_id"]], mask)
    root = _root(source.path, videos)
    return Dataset(
        [record["name"] for record in categories],
        (_entry(video, root) for video in videos),
        rows.objects(),
        info=source.info(),
        ids=SourceIds.of(places, labels),
    )


def _videos(source: Entries) -> list[_Frames]:
    """The videos with their pictures; those of one picture carry its file's name."""
    named: dict[int, _Frames] = {}
    if "videos" in source.at:
        for where, record in source.records("videos", "name"):
            if not source.fits(_check_rate, record, where):
                continue
            named[record["id"]] = _Frames(record["name"], float(record.get("fps", 0.0)), [])
    found = list(named.values())
    for where, image in source.records("images", "file_name"):
        if not source.fits(_check_image, image, where, named):
            continue
        if "video_id" in image:
            named[image["video_id"]].images.append(image)
        else:
            found.append(_Frames(image["file_name"], 0.0, [image]))
    empty = [video.name for video in found if not video.images]
    for name in empty:
        source.faults.add("empty-video", "has no image", place=f"{source.path}: video {name!r}")
    return [video for video in found if video.images]


def _check_rate(video: Record, where: str) -> None:
    if not 0 <= video.get("fps", 0) <= MOST_RATE:
        raise Misfit(f"{where}.fps must lie in 0..{MOST_RATE}, but is {video['fps']}")


def _check_image(image: Record, where: str, named: Mapping[int, _Frames]) -> None:
    for side in ("width", "height"):
        if not 1 <= image[side] <= MOST_MEASURE:
            raise Misfit(f"{where}.{side} must lie in 1..{MOST_MEASURE}, but is {image[side]}")
    if "video_id" in image:
        if image["video_id"] not in named:
            raise Misfit(f"{where}.video_id is {image['video_id']}, but no video has this id")
        if "frame_id" not in image:
            raise Misfit(f"{where} has no `frame_id`")


def _in_order(video: _Frames, source: Entries) -> None:
    """Sorts a video's pictures by number; what contradicts their names or repeats is a fault."""
    video.images.sort(key=lambda image: image.get("frame_id", 0))
    names = [natural_key(image["file_name"]) for image in video.images]
    where = f"{source.path}: video {video.name!r}"
    for (before, after), (one, other) in zip(pairwise(video.images), pairwise(names), strict=True):
        if before["frame_id"] == after["frame_id"]:
            text = f"two images have the frame_id {after['frame_id']}"
            source.faults.add("frame-order", text, place=where)
        elif not one < other:
            text = (
                f"frame_id {after['frame_id']} is {after['file_name']}, which by its name comes "
                f"before {before['file_name']}; correct the numbers or the names"
            )
            source.faults.add("frame-order", text, place=where)
        if (before["height"], before["width"]) != (after["height"], after["width"]):
            text = f"{after['file_name']} is of another size than {before['file_name']}"
            source.faults.add("size-differs", text, place=where)


def _entry(video: _Frames, root: Path) -> VideoEntry:
    first = video.images[0]
    measures = Video(video.name, len(video.images), first["height"], first["width"], video.rate)
    if "video_id" not in first:
        return VideoEntry(measures, str(root / first["file_name"]), [0])
    chosen = [i for i, image in enumerate(video.images) if image.get("is_vid_train_frame")]
    labelled = chosen or range(len(video.images))
    files = [image["file_name"] for image in video.images]
    return VideoEntry(measures, str(root), labelled, files)


def _root(path: Path, videos: list[_Frames]) -> Path:
    """The folder that the pictures' names begin from; the JSON's where none is found."""
    stem = path.stem.removeprefix("instances_")
    for place in PLACES if videos else ():
        root = path.parent / place.format(stem=stem)
        if (root / videos[0].images[0]["file_name"]).is_file():
            return root
    return path.parent


def _check(
    annotation: Record,
    where: str,
    places: Mapping[int, tuple[int, int]],
    labels: Mapping[int, int],
    lenient: bool,
) -> None:
    if annotation["image_id"] not in places:
        raise Misfit(f"{where}.image_id is {annotation['image_id']}, but no image has this id")
    if annotation["category_id"] not in labels:
        wrong = annotation["category_id"]
        message = f"{where}.category_id is {wrong}, but no category has this id"
        raise Misfit(message, "unknown-class")
    for flag in ("iscrowd", "ignore"):
        if annotation.get(flag, 0) not in (0, 1):
            raise Misfit(f"{where}.{flag} must be 0 or 1, but is {annotation[flag]!r}")
    if annotation.get("instance_id", 0) < -1:
        raise Misfit(f"{where}.instance_id must be -1 (none) or more")
    box = annotation["bbox"]
    if len(box) != 4 or not all(map(is_number, box)):
        raise Misfit(f"{where}.bbox must be four numbers x, y, width, height, but is {box}")
    if not lenient and (box[2] <= 0 or box[3] <= 0):
        raise Misfit(f"{where}.bbox must have a width and a height above 0, but is {box}")


def _mask(source: Entries, annotation: Record, where: str, size: tuple[int, int]) -> bytes:
    segmentation = annotation.get("segmentation")
    if not segmentation:
        return b""
    try:
        return Masks.from_coco([segmentation], size).counts[0]
    except ValueError as error:
        message = f"{where}.segmentation {str(error).removeprefix('mask 0 ')}"
        source.faults.add("unreadable-labels", message, place=str(source.path))
        return b""


def _add(
    rows: ObjectRows, annotation: Record, video: int, frame: int, label: int, mask: bytes
) -> None:
    x, y, width, height = annotation["bbox"]
    instance: Any = annotation.get("instance_id", -1)
    flags = {name: annotation[name] for name in _ATTRIBUTES if name in annotation}
    rows.add(
        video,
        frame,
        label,
        (x, y, x + width, y + height),
        instance_id=None if instance < 0 else instance,
        crowd=bool(annotation.get("iscrowd", 0)),
        ignore=bool(annotation.get("ignore", 0)),
        attributes={n: float(v) for n, v in flags.items() if isinstance(v, int | float)},
        mask=mask,
    )
