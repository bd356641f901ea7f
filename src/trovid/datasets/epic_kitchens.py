"""EPIC-KITCHENS-55: objects in active use, in a CSV file, on pictures with numbers of their own."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.findings import Faults
from trovid.datasets.objects import ObjectRows
from trovid.datasets.ranges import LARGEST_ID, is_number, whole_number
from trovid.errors import TrovidError
from trovid.structures import Video
from trovid.video.images import images_in, read_size

LABELS, NOUNS = "EPIC_train_object_labels.csv", "EPIC_noun_classes.csv"
COLUMNS = ("noun_class", "noun", "participant_id", "video_id", "frame", "bounding_boxes")
LABELLED_SIZE = (1080, 1920)
"""Height and width of the pictures that the boxes were drawn in."""
PLACES = (
    *("object_detection_images/train", "object_detection_images", "frames_rgb_flow/rgb/train"),
    *("images/train", "images", "train", ""),
)
KITCHENS_HELD_OUT, VIDEOS_HELD_OUT = 0.15, 0.15
_BOX = re.compile(r"\(\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*\)")
_BOXES = re.compile(rf"\s*\[\s*(?:{_BOX.pattern}\s*(?:,\s*)?)*\]\s*")
Progress = Callable[[int, int], None]


def is_epic_kitchens(path: Path) -> bool:
    """Whether it is the CSV file, or a folder that holds it (maybe in `annotations`)."""
    return path.name == LABELS or _file(path, LABELS) is not None


def epic_splits(path: Path) -> tuple[str, ...]:
    """Local ones, since the labels of the official test videos are not public (`local_split`)."""
    return ("train", "val", "test")


def local_split(participant: str, video: str, participants: list[str]) -> str:
    """To which part a video belongs, by hashes of the names of kitchen and video.

    "test": about 15 % of the kitchens with all their videos, which nobody is trained on (as S2 of
    the challenge); "val": about 15 % of the videos of the other kitchens (as S1); else "train".

    Args:
        participant: Whose kitchen it is.
        video: The video.
        participants: All of them.
    """
    count = max(1, round(KITCHENS_HELD_OUT * len(participants))) if len(participants) > 1 else 0
    if participant in sorted(participants, key=_hash)[:count]:
        return "test"
    return "val" if _hash(video) < VIDEOS_HELD_OUT * 2**32 else "train"


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def read_epic_kitchens(
    path: Path,
    *,
    split: str | None = None,
    faults: Faults | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The labels of the training videos.

    A box is (top, left, height, width) in pictures of 1920 x 1080; where the pictures are of
    another size it is scaled. A frame is called by the number in its file's name; the pictures of a
    video are its frames, in the order of these numbers. Frames that the file names without a box
    hold no object in use. Objects have no identity from frame to frame.

    Args:
        path: The folder with the CSV files (or `annotations` in it) and the pictures, by
            participant and video, in one of the places of `PLACES`.
        split: "train", "val", "test" (`local_split`); None for all.
        faults: What to do about what does not fit; None raises.
        progress: Called with (videos done, videos in all).

    Raises:
        TrovidError: If a file is missing or a line does not fit.
    """
    faults = faults or Faults()
    file = path if path.is_file() else _file(path, LABELS)
    assert file is not None
    root = file.parent.parent if file.parent.name == "annotations" else file.parent
    lines = list(_lines(file, faults))
    nouns = _nouns(file.parent / NOUNS, lines, faults)
    participants = sorted({line.participant for line in lines})
    by_video: dict[str, list[_Line]] = {}
    for line in lines:
        if split in (None, local_split(line.participant, line.video, participants)):
            by_video.setdefault(line.video, []).append(line)
    labels = {number: label for label, number in enumerate(nouns)}
    rows = ObjectRows()
    entries: list[VideoEntry] = []
    for done, (name, video_lines) in enumerate(by_video.items(), 1):
        entry = _video(root, name, video_lines, faults)
        if entry is not None:
            _add_objects(rows, len(entries), entry, video_lines, labels, faults)
            entries.append(entry)
        if progress:
            progress(done, len(by_video))
    info = {"name": "EPIC-KITCHENS-55", "split": f"local {split}" if split else "all"}
    return Dataset(list(nouns.values()), entries, rows.objects(), info=info, box_layout="xyxy")


class _Line:
    """A line of the CSV file: a class in a frame."""

    __slots__ = ("boxes", "frame", "noun", "number", "participant", "place", "video")

    def __init__(self, record: dict[str, str], place: str) -> None:
        self.place = place
        self.number, self.frame = (
            whole_number(record[name], 0, LARGEST_ID, name) for name in ("noun_class", "frame")
        )
        self.noun = record["noun"]
        self.participant, self.video = record["participant_id"], record["video_id"]
        text = record["bounding_boxes"]
        if not _BOXES.fullmatch(text):
            raise ValueError(
                f"bounding_boxes must be [(top, left, height, width), ...]: {text!r:.60}"
            )
        if not re.fullmatch(r"\w+", self.video) or not re.fullmatch(r"\w+", self.participant):
            raise ValueError(
                f"video_id and participant_id must be names, but are {self.video!r:.40}"
            )
        self.boxes = [tuple(map(float, found)) for found in _BOX.findall(text)]
        if not all(map(is_number, chain(*self.boxes))):
            raise ValueError(f"bounding_boxes must hold pixels, but are {text!r:.60}")


def _lines(file: Path, faults: Faults) -> Iterator[_Line]:
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            reader = csv.DictReader(opened)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise TrovidError(f"{file}:1: has no column {', '.join(missing)}")
            for record in reader:
                place = f"{file}:{reader.line_num}"
                if None in record.values():
                    text = "has fewer columns than the first line: the file may be cut off"
                    faults.add("unreadable-labels", text, place=place)
                    continue
                try:
                    yield _Line(record, place)
                except (ValueError, TypeError) as error:
                    faults.add("unreadable-labels", str(error), place=place)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrovidError(f"{file}: cannot be read ({error})") from error


def _nouns(file: Path, lines: list[_Line], faults: Faults) -> dict[int, str]:
    """Number and name of each class: those of the list (352), else those that are labelled."""
    if not file.is_file():
        named: dict[int, str] = {}
        for line in lines:
            named.setdefault(line.number, line.noun)
        return dict(sorted(named.items()))
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            return {int(r["noun_id"]): r["class_key"] for r in csv.DictReader(opened)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, ValueError, TypeError) as error:
        raise TrovidError(f"{file}: must have columns noun_id and class_key ({error})") from error


def _file(path: Path, name: str) -> Path | None:
    found = (path / name, path / "annotations" / name)
    return next((file for file in found if file.is_file()), None)


def _video(root: Path, name: str, lines: list[_Line], faults: Faults) -> VideoEntry | None:
    folders = [root / place / lines[0].participant / name for place in PLACES]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        text = f"its pictures are not there: place them in {folders[0]}"
        faults.add("missing-video", text, place=name)
        return None
    files = images_in(folder)
    height, width = read_size(files[0])
    numbers = {_number(file.name): index for index, file in enumerate(files)}
    labelled = set()
    for line in lines:
        if line.frame not in numbers:
            faults.add("missing-frame", f"no picture has the number {line.frame}", place=line.place)
        else:
            labelled.add(numbers[line.frame])
    video = Video(name, len(files), height, width)
    return VideoEntry(video, str(folder), sorted(labelled), [file.name for file in files])


def _number(name: str) -> int:
    found = re.search(r"(\d+)\.\w+$", name)
    return int(found[1]) if found else -1


def _add_objects(
    rows: ObjectRows,
    video: int,
    entry: VideoEntry,
    lines: list[_Line],
    labels: dict[int, int],
    faults: Faults,
) -> None:
    places = {_number(name): index for index, name in enumerate(entry.files or ())}
    tall = entry.video.height / LABELLED_SIZE[0]
    wide = entry.video.width / LABELLED_SIZE[1]
    for line in lines:
        if line.frame not in places:
            continue
        if line.number not in labels:
            text = f"noun_class {line.number} is not in {NOUNS}"
            faults.add("unknown-class", text, place=line.place)
            continue
        for top, left, height, width in line.boxes:
            if not faults.collect and (height <= 0 or width <= 0):
                faults.add("box-degenerate", "a box has no width or height", place=line.place)
            box = (left * wide, top * tall, (left + width) * wide, (top + height) * tall)
            rows.add(video, places[line.frame], labels[line.number], box)
