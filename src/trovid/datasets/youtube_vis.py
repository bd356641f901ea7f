"""YouTube-VIS 2019 and 2021 as they are distributed, and OVIS, which has the same form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.findings import Faults
from trovid.datasets.json_entries import Entries, Kinds, Misfit, Record, kind_of
from trovid.datasets.json_files import json_kind, read_text
from trovid.datasets.objects import ObjectRows
from trovid.datasets.ranges import MOST_MEASURE, is_number
from trovid.errors import TrovidError
from trovid.files import below
from trovid.structures import Masks, Video
from trovid.video.images import natural_key

SPLIT_FILES = {
    "train": ("train.json", "train/instances.json", "annotations_train.json"),
    "val": ("val.json", "valid.json", "valid/instances.json", "annotations_valid.json"),
    "test": ("test.json", "test/instances.json", "annotations_test.json"),
}
"""Where the labels of a split lie: own, 2019, 2021, OVIS."""
PLACES = ("JPEGImages", "{stem}/JPEGImages", "{stem}", ".", "../{stem}", "../JPEGImages")
"""Where the frames may lie, from the JSON file; {stem}: its name without `annotations_`."""
_FIELDS: Mapping[str, Kinds] = {
    "categories": {"id": int, "name": str},
    "videos": {"id": int, "file_names": list, "width": int, "height": int, "length": int},
    "annotations": {"id": int, "video_id": int, "category_id": int, "segmentations": list},
}
_OPTIONAL: Mapping[str, Kinds] = {
    "annotations": {"bboxes": list, "areas": list, "iscrowd": (int, bool)},
}


def is_youtube_vis(path: Path) -> bool:
    """Whether a file, or a folder's file of a split, is of this form."""
    if path.is_dir():
        return any(_split_file(path, split) for split in SPLIT_FILES)
    return path.suffix.lower() == ".json" and json_kind(path) == "youtube-vis"


def youtube_vis_splits(path: Path) -> tuple[str, ...]:
    """The splits of a folder that are labelled (the labels of val and test are not published)."""
    if not path.is_dir():
        return ()
    files = {split: _split_file(path, split) for split in SPLIT_FILES}
    return tuple(split for split, file in files.items() if file and _is_labelled(file))


def read_youtube_vis(
    path: Path, split: str | None = None, *, faults: Faults | None = None
) -> Dataset:
    """Reads and checks the labels of a split.

    An annotation is an object through a video: `segmentations` (and `bboxes`, `areas`), one a
    frame, null where it is not seen. A mask that is empty is taken as null; a box that is missing
    is drawn around the mask. `iscrowd` marks what is not to be found. Every frame in `file_names`
    counts as labelled, unless the file has no annotations. `info` keeps the file's ids of videos
    and categories, which results name (`write_youtube_vis_results`).

    Args:
        path: A JSON file, or a folder as it is distributed (`SPLIT_FILES`).
        split: "train", "val" or "test" of a folder; None: train.
        faults: What to do about an entry that does not fit; None raises.

    Raises:
        TrovidError: If the file cannot be read or an entry does not fit; the message names the
            file, the list, the position in it and the field.
    """
    if path.is_dir():
        file = _split_file(path, split or "train")
        if file is None:
            wanted = ", ".join(SPLIT_FILES[split or "train"])
            raise TrovidError(f"{path}: has no labels of {split or 'train'}: one of {wanted}")
        path = file
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


def _split_file(folder: Path, split: str) -> Path | None:
    found = (folder / name for name in SPLIT_FILES[split])
    return next((p for p in found if p.is_file() and json_kind(p) == "youtube-vis"), None)


def _is_labelled(path: Path) -> bool:
    return bool(re.search(r'"annotations"\s*:\s*\[\s*\{', read_text(path)))


def _dataset(source: Entries) -> Dataset:
    categories = sorted(
        (record for _, record in source.records("categories", "name")), key=lambda r: r["id"]
    )
    if not categories:
        raise Misfit("`categories` is empty; name at least one class")
    labels = {record["id"]: label for label, record in enumerate(categories)}
    videos = [
        record
        for where, record in source.records("videos")
        if source.fits(_check_video, record, where)
    ]
    numbers = {record["id"]: number for number, record in enumerate(videos)}
    at = source.at.get("annotations")
    labelled = at is not None and source.text[at] == "["
    rows = ObjectRows()
    for where, record in source.records("annotations") if labelled else ():
        if source.fits(_check_annotation, record, where, videos, numbers, labels):
            number = numbers[record["video_id"]]
            label = labels[record["category_id"]]
            source.fits(_add, rows, record, where, number, videos[number], label)
    names = _names(videos)
    root = _root(source.path, videos)
    info = {
        "name": "YouTube-VIS",
        **(source.info() or {}),
        "video_ids": {name: v["id"] for name, v in zip(names, videos, strict=True)},
        "category_ids": {record["name"]: record["id"] for record in categories},
    }
    return Dataset(
        [record["name"] for record in categories],
        (
            VideoEntry(
                Video(name, record["length"], record["height"], record["width"]),
                str(root),
                range(record["length"]) if labelled else (),
                record["file_names"],
            )
            for name, record in zip(names, videos, strict=True)
        ),
        rows.objects(),
        info=info,
    )


def _names(videos: Sequence[Record]) -> list[str]:
    """Each video's folder, where that tells them apart; else its id."""
    folders = [record["file_names"][0].replace("\\", "/").rpartition("/")[0] for record in videos]
    if len(set(folders)) == len(folders) and all(folders):
        return folders
    return [str(record["id"]) for record in videos]


def _root(path: Path, videos: Sequence[Record]) -> Path:
    """The folder that the frames' names begin from."""
    stem = path.stem.removeprefix("annotations_")
    for place in PLACES if videos else ():
        root = path.parent / place.format(stem=stem)
        if (root / videos[0]["file_names"][0]).is_file():
            return root
    return path.parent / "JPEGImages"


def _check_video(record: Record, where: str) -> None:
    files = record["file_names"]
    if not files:
        raise Misfit(f"{where}.file_names must name at least one frame", "empty-video")
    for field in ("width", "height", "length"):
        if not 1 <= record[field] <= MOST_MEASURE:
            raise Misfit(f"{where}.{field} must lie in 1..{MOST_MEASURE}, but is {record[field]}")
    if len(files) != record["length"]:
        raise Misfit(f"{where}.length is {record['length']}, but `file_names` has {len(files)}")
    for index, name in enumerate(files):
        if not isinstance(name, str) or not name:
            raise Misfit(
                f"{where}.file_names[{index}] must be the name of a frame, but is {kind_of(name)}"
            )
        try:
            below(Path("."), name)
        except TrovidError as error:
            raise Misfit(f"{where}.file_names[{index}]: {error}") from error
    for before, after in pairwise(files):
        if natural_key(after) <= natural_key(before):
            raise Misfit(
                f"{where}.file_names: {after} comes after {before}, but by its name before it",
                "frame-order",
            )


def _check_annotation(
    record: Record,
    where: str,
    videos: Sequence[Record],
    numbers: Mapping[int, int],
    labels: Mapping[int, int],
) -> None:
    if record["video_id"] not in numbers:
        raise Misfit(f"{where}.video_id is {record['video_id']}, but no video has this id")
    if record["category_id"] not in labels:
        wrong = record["category_id"]
        message = f"{where}.category_id is {wrong}, but no category has this id"
        raise Misfit(message, "unknown-class")
    if record["id"] < 0:
        raise Misfit(f"{where}.id must not be negative")
    if record.get("iscrowd", 0) not in (0, 1):
        raise Misfit(f"{where}.iscrowd must be 0 or 1, but is {record['iscrowd']!r}")
    length = videos[numbers[record["video_id"]]]["length"]
    for field in ("segmentations", "bboxes", "areas"):
        if len(record.get(field, [None] * length)) != length:
            raise Misfit(
                f"{where}.{field} must have one entry a frame ({length}), "
                f"but has {len(record[field])}"
            )


def _add(
    rows: ObjectRows, record: Record, where: str, number: int, video: Record, label: int
) -> None:
    """An object's frames; none where one does not fit."""
    size = video["height"], video["width"]
    seen = [i for i, code in enumerate(record["segmentations"]) if code]
    try:
        masks = Masks.from_coco([record["segmentations"][i] for i in seen], size)
    except ValueError as error:
        _, place, reason = str(error).split(" ", 2)
        raise Misfit(f"{where}.segmentations[{seen[int(place)]}] {reason}") from error
    around = masks.boxes.tolist()
    fitting = []
    for frame, code, box in zip(seen, masks.counts, around, strict=True):
        given = record.get("bboxes", [None] * video["length"])[frame]
        area = record.get("areas", [None] * video["length"])[frame]
        if given is not None:
            _check_numbers(given, f"{where}.bboxes[{frame}]")
            if given[2] > 0 and given[3] > 0:
                box = [given[0], given[1], given[0] + given[2], given[1] + given[3]]
        if area is not None and not is_number(area, below=MOST_MEASURE**2):
            raise Misfit(f"{where}.areas[{frame}] must be a number, but is {kind_of(area)}")
        if box[2] > box[0] and box[3] > box[1]:
            fitting.append((frame, box, code, area))
    for frame, box, code, area in fitting:
        rows.add(
            number,
            frame,
            label,
            box,
            instance_id=record["id"],
            crowd=bool(record.get("iscrowd", 0)),
            attributes={} if area is None else {"area": float(area)},
            mask=code,
        )


def _check_numbers(box: object, where: str) -> None:
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        raise Misfit(f"{where} must be four numbers x, y, width, height, but is {kind_of(box)}")
