"""Labels of videos in COCO-VID-style JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from trovid.datasets.contract import Dataset, SourceIds, VideoEntry
from trovid.datasets.findings import Faults
from trovid.datasets.json_entries import NUMBER, Entries, Kinds, Misfit, Record
from trovid.datasets.objects import ObjectRows
from trovid.datasets.ranges import LONGEST_NAME, MOST_MEASURE, MOST_RATE, is_number
from trovid.errors import TrovidError, shortened
from trovid.structures import Masks, Video

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
    "strength": NUMBER,
    "motion_iou": NUMBER,
    "occluded": NUMBER,
    "generated": NUMBER,
}
_MASKS = ("segmentation", "visible_segmentation")
_OPTIONAL: dict[str, Kinds] = {
    "videos": {"frame_rate": NUMBER, "files": list},
    "images": {"file_name": str, "width": int, "height": int},
    "annotations": {
        "instance_id": int,
        "iscrowd": (int, bool),
        "ignore": (int, bool),
        **dict.fromkeys(_MASKS, (dict, list)),
        **_ATTRIBUTES,
    },
}


def read_coco_vid(path: str | Path, *, faults: Faults | None = None) -> Dataset:
    """Reads and checks a file of labels.

    An object without `instance_id` is one of its own; `iscrowd` and `ignore` are 0 where they are
    not there. A video may have `files`: those of all its frames, from its folder, which may hold
    other pictures too. Or an image may have a `file_name`: that of its file in the folder of its
    video.

    Args:
        path: The JSON file; video files are looked for relative to its folder.
        faults: What to do about an entry that does not fit; None raises.

    Raises:
        TrovidError: If the file cannot be read or an entry does not fit; the message names the
            file, the list, the position in it and the field.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        return _dataset(text, path, faults or Faults())
    except OSError as error:
        raise TrovidError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise TrovidError(f"{path}: is no JSON: {str(error)[:200]}") from error
    except (Misfit, TypeError) as error:
        raise TrovidError(f"{path}: {error}") from error


def _dataset(text: str, path: Path, faults: Faults) -> Dataset:
    source = Entries(text, path, faults, _FIELDS, _OPTIONAL)
    categories = sorted(
        (record for _, record in source.records("categories", "name")), key=lambda r: r["id"]
    )
    if not categories:
        raise Misfit("`categories` is empty; name at least one class")
    labels = {record["id"]: label for label, record in enumerate(categories)}
    videos = [
        video
        for where, video in source.records("videos", "name")
        if source.fits(_check_video, video, where)
    ]
    numbers = {video["id"]: number for number, video in enumerate(videos)}
    labelled: list[dict[int, str]] = [{} for _ in videos]
    frames: dict[int, tuple[int, int]] = {}
    first: dict[tuple[int, int], str] = {}
    for where, image in source.records("images"):
        if source.fits(_check_image, image, where, videos, numbers, first):
            number = numbers[image["video_id"]]
            labelled[number][image["frame_index"]] = image.get("file_name", "")
            frames[image["id"]] = number, image["frame_index"]
    rows = ObjectRows()
    for where, annotation in source.records("annotations"):
        if source.fits(_check_place, annotation, where, frames):
            number, frame = frames[annotation["image_id"]]
            video = videos[number]
            if source.fits(_check_annotation, annotation, where, video, labels, faults.collect):
                masks = [_mask(source, annotation, name, where, video) for name in _MASKS]
                _add(rows, annotation, number, frame, labels[annotation["category_id"]], masks)
    return Dataset(
        [record["name"] for record in categories],
        (
            _entry(record, path.parent, files)
            for record, files in zip(videos, labelled, strict=True)
        ),
        rows.objects(),
        info=source.info(),
        ids=SourceIds.of(frames, labels),
    )


def _entry(record: Record, folder: Path, labelled: Mapping[int, str]) -> VideoEntry:
    files = record.get("files")
    if files is None and any(labelled.values()):
        named = {i: name.replace("\\", "/").rpartition("/")[2] for i, name in labelled.items()}
        files = [named.get(index, "") for index in range(record["num_frames"])]
    path = str(folder / record["file_name"])
    return VideoEntry(_video(record), path, sorted(labelled), files)


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


def _check_image(
    image: Record,
    where: str,
    videos: Sequence[Record],
    numbers: Mapping[int, int],
    first: dict[tuple[int, int], str],
) -> None:
    video, frame = image["video_id"], image["frame_index"]
    if video not in numbers:
        raise Misfit(f"{where}.video_id is {video}, but no video has this id")
    for side in ("width", "height"):
        given, stated = image.get(side), videos[numbers[video]][side]
        if given not in (None, stated):
            message = f"{where}.{side} is {given}, but that of its video is {stated}"
            raise Misfit(message, "size-differs")
    last = videos[numbers[video]]["num_frames"] - 1
    if not 0 <= frame <= last:
        message = f"{where}.frame_index must lie in 0..{last}, but is {frame}"
        raise Misfit(message, "frame-outside")
    before = first.setdefault((video, frame), where)
    if before != where:
        raise Misfit(f"{where}.frame_index repeats frame {frame} of {before}")


def _check_video(video: Record, where: str) -> None:
    if video["num_frames"] == 0:
        raise Misfit(f"{where}.num_frames must be at least 1, but is 0", "empty-video")
    for field in ("width", "height", "num_frames"):
        if not 1 <= video[field] <= MOST_MEASURE:
            raise Misfit(f"{where}.{field} must lie in 1..{MOST_MEASURE}, but is {video[field]}")
    files = video.get("files")
    if files is not None and not (len(files) == video["num_frames"] and all(map(_is_name, files))):
        wanted = f"a name for each of its {video['num_frames']} frames"
        raise Misfit(f"{where}.files must hold {wanted}, but is {shortened(files)}")
    if not 0 <= video.get("frame_rate", 0) <= MOST_RATE:
        raise Misfit(f"{where}.frame_rate must lie in 0..{MOST_RATE}, but is {video['frame_rate']}")


def _is_name(file: object) -> bool:
    return isinstance(file, str) and 0 < len(file) <= LONGEST_NAME and "\0" not in file


def _check_place(annotation: Record, where: str, frames: Mapping[int, tuple[int, int]]) -> None:
    if annotation["image_id"] not in frames:
        raise Misfit(f"{where}.image_id is {annotation['image_id']}, but no image has this id")


def _check_annotation(
    annotation: Record, where: str, video: Record, labels: Mapping[int, int], lenient: bool
) -> None:
    if annotation["video_id"] != video["id"]:
        raise Misfit(
            f"{where}.video_id is {annotation['video_id']}, but its image is of video {video['id']}"
        )
    if annotation["category_id"] not in labels:
        wrong = annotation["category_id"]
        message = f"{where}.category_id is {wrong}, but no category has this id"
        raise Misfit(message, "unknown-class")
    if annotation.get("instance_id", 0) < -1:
        raise Misfit(f"{where}.instance_id must be -1 (none) or more")
    for flag in ("iscrowd", "ignore"):
        if annotation.get(flag, 0) not in (0, 1):
            raise Misfit(f"{where}.{flag} must be 0 or 1, but is {annotation[flag]!r}")
    box = annotation["bbox"]
    if len(box) != 4 or not all(map(is_number, box)):
        raise Misfit(f"{where}.bbox must be four numbers x, y, width, height, but is {box}")
    if not lenient and (box[2] <= 0 or box[3] <= 0):
        raise Misfit(f"{where}.bbox must have a width and a height above 0, but is {box}")


def _mask(source: Entries, annotation: Record, name: str, where: str, video: Record) -> bytes:
    """The compressed run-length code of one of an annotation's masks, b"" where it has none."""
    if not annotation.get(name):
        return b""
    try:
        return Masks.from_coco([annotation[name]], (video["height"], video["width"])).counts[0]
    except ValueError as error:
        message = f"{where}.{name} {str(error).removeprefix('mask 0 ')}"
        source.faults.add("unreadable-labels", message, place=str(source.path))
        return b""
