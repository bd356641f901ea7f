"""Videos with one JSON file that anyone can write by hand (docs/own-data.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.findings import Faults
from trovid.datasets.json_files import read_json
from trovid.datasets.objects import ObjectRows
from trovid.datasets.ranges import LARGEST_ID, MOST_MEASURE, is_number
from trovid.errors import TrovidError, nearest, shortened
from trovid.structures import Masks, Video
from trovid.video.glance import glance
from trovid.video.images import SUFFIXES, images_in, read_size

FLAGS = ("ignore", "crowd")
FIELDS = ("class", "box", "id", "ignore", "crowd", "mask")
MEMBERS = ("videos", "classes", "val", "test", "info")
SPLITS = ("train", "val", "test")
Progress = Callable[[int, int], None]


def plain_json_splits(path: Path) -> tuple[str, ...]:
    """The splits that a file names: those with a list of videos, and "train" for the others."""
    document = read_json(path, Faults(collect=True))
    named = [s for s in SPLITS[1:] if isinstance(document, dict) and document.get(s)]
    return ("train", *named) if named else ()


def read_plain_json(
    path: Path,
    *,
    split: str | None = None,
    faults: Faults | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Labels of the form {"videos": {"street.mp4": {"0": [{"class": "car", "box": [...]}]}}}.

    By video (a file, or a folder of frames, from the JSON's folder) and by frame (its number from
    0, or the name of its file) the objects, each with `class` and `box` (x1, y1, x2, y2 in
    pixels), and if wanted `id` (of the object in its video), `ignore`, `crowd` and `mask` (COCO's
    compressed run-length code). Frames that are not named are not labelled; a frame with [] holds
    no object. `classes`, if given, says the classes and their order; `val` and `test` name videos.

    Args:
        path: The JSON file.
        split: "train", "val" or "test"; None for all videos.
        faults: What to do about what does not fit; None raises.
        progress: Called with (videos done, videos in all).

    Raises:
        TrovidError: If the file cannot be read or an entry does not fit.
    """
    return _Reading(path, faults or Faults()).dataset(split, progress)


class _Reading:
    def __init__(self, path: Path, faults: Faults) -> None:
        self.path, self.faults = path, faults
        self.rows = ObjectRows()
        self.entries: list[VideoEntry] = []
        document = read_json(path, faults, unique_keys=True)
        if not isinstance(document, dict) or not isinstance(document.get("videos"), dict):
            self._misfit('the file must hold {"videos": {NAME: {FRAME: [OBJECT, ...]}}}')
            document = {"videos": {}}
        for name in document:
            if name not in MEMBERS:
                self._misfit(f"{name!r} is not known here{nearest(name, MEMBERS)}")
        self.document: dict[str, Any] = document
        self.videos: Mapping[str, Any] = document["videos"]
        self.class_names = self._classes()

    def dataset(self, split: str | None, progress: Progress | None) -> Dataset:
        names = self._names(split)
        for done, name in enumerate(names, 1):
            self._add_video(name)
            if progress:
                progress(done, len(names))
        info = self.document.get("info")
        return Dataset(
            self.class_names,
            self.entries,
            self.rows.objects(),
            info=info if isinstance(info, dict) else None,
            box_layout="xyxy",
        )

    def _misfit(self, message: str, name: str = "unreadable-labels", where: str = "") -> None:
        place = f"{self.path}: {where}" if where else str(self.path)
        self.faults.add(name, message, place=place)

    def _classes(self) -> tuple[str, ...]:
        given = self.document.get("classes")
        if given is None:
            every = _every_object(self.videos)
            return tuple(sorted({o["class"] for o in every if isinstance(o.get("class"), str)}))
        fits = isinstance(given, list) and all(isinstance(name, str) for name in given)
        if not fits or len(set(given)) < len(given):
            self._misfit(f"`classes` must be a list of different names, but is {shortened(given)}")
            return ()
        return tuple(given)

    def _names(self, split: str | None) -> list[str]:
        listed: dict[str, str] = {}
        for other in SPLITS[1:]:
            names = self.document.get(other, [])
            if not isinstance(names, list):
                self._misfit(f"`{other}` must be a list of videos, but is {shortened(names)}")
                continue
            for name in names:
                if not isinstance(name, str) or name not in self.videos:
                    hint = nearest(name, list(self.videos)) if isinstance(name, str) else ""
                    given = shortened(name)
                    self._misfit(f"`{other}` names {given}, which is no video of the file{hint}")
                elif listed.setdefault(name, other) != other:
                    self.faults.add(
                        "duplicate-video",
                        f"{name!r} is in `{listed[name]}` and in `{other}`: take it out of one",
                        place=str(self.path),
                    )
        return [n for n in self.videos if split is None or listed.get(n, "train") == split]

    def _add_video(self, name: str) -> None:
        frames = self.videos[name]
        if not isinstance(frames, dict):
            self._misfit(
                f"must be {{FRAME: [OBJECT, ...]}}, but is {shortened(frames)}", where=name
            )
            return
        path = self.path.parent / name
        try:
            video, files = self._measures(path, name)
        except TrovidError as error:
            missing = not path.exists()
            fault = "missing-video" if missing else "unreadable-video"
            hint = nearest(name, [p.name for p in self.path.parent.iterdir()]) if missing else ""
            self._misfit(f"{error}{hint}", fault, name)
            return
        numbers = {file: number for number, file in enumerate(files or ())}
        labelled: dict[int, list[Any]] = {}
        for key, objects in frames.items():
            index = _frame(key) if key.isdecimal() else numbers.get(key)
            where = f"{name} frame {key:.40}"
            if index is None:
                what = "a number or the name of a frame's file"
                self._misfit(f"must be {what}{nearest(key, list(numbers))}", "missing-frame", where)
            elif index >= video.num_frames:
                last = video.num_frames - 1
                self._misfit(f"must lie in 0..{last}", "frame-outside", where)
            elif index in labelled:
                self._misfit("is there twice", where=where)
            elif not isinstance(objects, list):
                self._misfit(f"must be a list of objects, but is {shortened(objects)}", where=where)
            else:
                labelled[index] = objects
                for position, entry in enumerate(objects):
                    self._add_object(index, entry, f"{where} object {position}", video)
        self.entries.append(VideoEntry(video, str(path), sorted(labelled), files))

    def _measures(self, path: Path, name: str) -> tuple[Video, list[str] | None]:
        if path.is_dir():
            files = images_in(path)
            return Video(name, len(files), *read_size(files[0])), [file.name for file in files]
        if path.suffix.lower() in SUFFIXES:
            return Video(name, 1, *read_size(path)), None
        seen = glance(path)
        return Video(name, seen.num_frames, seen.height, seen.width, seen.frame_rate), None

    def _add_object(self, frame: int, entry: Any, where: str, video: Video) -> None:
        if not isinstance(entry, dict):
            self._misfit(
                f'must be {{"class": ..., "box": ...}}, but is {shortened(entry)}', where=where
            )
            return
        unknown = [key for key in entry if key not in FIELDS]
        if unknown:
            hint = nearest(unknown[0], FIELDS)
            self._misfit(f"has no use for {unknown[0]!r}{hint}", where=where)
        label, box = entry.get("class"), entry.get("box")
        if label not in self.class_names:
            hint = nearest(str(label), self.class_names)
            self._misfit(f"class {label!r} is not among `classes`{hint}", "unknown-class", where)
        elif not _is_box(box):
            self._misfit(f"`box` must be [x1, y1, x2, y2], but is {shortened(box)}", where=where)
        elif odd := [flag for flag in FLAGS if not _is_flag(entry.get(flag))]:
            given = shortened(entry[odd[0]])
            self._misfit(f"`{odd[0]}` must be true or false, but is {given}", where=where)
        elif not self.faults.collect and not (box[2] > box[0] and box[3] > box[1]):
            self._misfit(f"`box` must have x1 < x2 and y1 < y2, but is {box}", where=where)
        else:
            number, mask = self._number(entry, where), self._mask(entry, where, video)
            self.rows.add(
                len(self.entries),
                frame,
                self.class_names.index(label),
                box,
                instance_id=number,
                crowd=bool(entry.get("crowd")),
                ignore=bool(entry.get("ignore")),
                mask=mask,
            )

    def _number(self, entry: Mapping[str, Any], where: str) -> int | None:
        number = entry.get("id")
        if number is None:
            return None
        whole = isinstance(number, int) and is_number(number, below=LARGEST_ID)
        if not whole or number < 0:
            given = shortened(number, 40)
            self._misfit(f"`id` must be a whole number from 0, but is {given}", where=where)
            return None
        return int(number)

    def _mask(self, entry: Mapping[str, Any], where: str, video: Video) -> bytes:
        code = entry.get("mask")
        if code is None:
            return b""
        size = [video.height, video.width]
        if not isinstance(code, dict) or not isinstance(code.get("counts"), str):
            self._misfit(f"`mask` must be a compressed run-length code of size {size}", where=where)
            return b""
        try:
            return Masks.from_coco([code], (video.height, video.width)).counts[0]
        except ValueError as error:
            self._misfit(f"`mask` {str(error).removeprefix('mask 0 ')}", where=where)
            return b""


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(map(is_number, box))


def _is_flag(value: Any) -> bool:
    return value is None or isinstance(value, bool) or value in (0, 1)


def _frame(key: str) -> int:
    """A frame's number; one of more digits than a video has frames is that of no frame."""
    return int(key) if len(key) < len(str(MOST_MEASURE)) else MOST_MEASURE


def _every_object(videos: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        entry
        for frames in videos.values()
        if isinstance(frames, dict)
        for objects in frames.values()
        if isinstance(objects, list)
        for entry in objects
        if isinstance(entry, dict)
    ]
