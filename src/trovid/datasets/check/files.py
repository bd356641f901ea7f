"""Faults of the files of videos: missing, empty, unreadable, of another size or length."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset
from trovid.datasets.findings import Finding, grouped
from trovid.errors import TrovidError
from trovid.files import replacing
from trovid.structures import Video
from trovid.video.file import FileReader
from trovid.video.glance import glance
from trovid.video.images import SUFFIXES, images_in, read_image, read_size

MEBIBYTE = 2**20
THREADS = 8
CACHE_VERSION = 1
Fault = tuple[str, str]


@dataclass(frozen=True)
class FileRecord:
    """What the files of a video are, whatever the labels say.

    Attributes:
        frames: How many frames; -1 where that is not known.
        height: Of the first frame.
        width: Of the first frame.
        content: Hash by which a copy is known.
        faults: Name and message of what is wrong.
        names: File names of the frames of a folder, in order.
    """

    frames: int = -1
    height: int = 0
    width: int = 0
    content: str = ""
    faults: Sequence[Fault] = ()
    names: Sequence[str] = field(default=())


class RecordCache:
    """Records of files that are not looked at again while size and time stay.

    Args:
        path: A JSON file, replaced by `save`; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._kept: dict[str, Any] = {}
        try:
            document = json.loads(path.read_text(encoding="utf-8")) if path else {}
            if isinstance(document, dict) and document.get("version") == CACHE_VERSION:
                self._kept = document["videos"]
        except (OSError, ValueError, KeyError):
            self._kept = {}

    def get(self, key: str, stamp: str) -> FileRecord | None:
        """What is known of a video whose files still bear this stamp."""
        kept = self._kept.get(key)
        if not isinstance(kept, dict) or kept.get("stamp") != stamp:
            return None
        try:
            record = FileRecord(**kept["facts"])
        except (TypeError, KeyError):
            return None
        return record

    def put(self, key: str, stamp: str, record: FileRecord) -> None:
        """Notes what is known of a video."""
        self._kept[key] = {"stamp": stamp, "facts": asdict(record)}

    def save(self) -> None:
        """Writes the file."""
        if self.path is not None:
            with replacing(self.path) as partial:
                text = json.dumps({"version": CACHE_VERSION, "videos": self._kept})
                partial.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class LookedAt:
    """What the files of a split tell.

    Attributes:
        findings: What is wrong.
        contents: Of each readable video a hash of its content.
        swapped: The videos whose width and height are exchanged in the labels.
    """

    findings: list[Finding]
    contents: dict[str, str]
    swapped: set[str]


def file_findings(
    dataset: Dataset,
    split: str = "",
    *,
    decode: bool = False,
    cache: RecordCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LookedAt:
    """Looks at the files of every video: sizes, number of frames, first and last frame.

    Args:
        dataset: The labels.
        split: Named in the findings.
        decode: Whether every frame is decoded.
        cache: Of what was seen before; not asked with `decode`.
        progress: Called with (videos done, videos in all).
    """
    found: dict[str, list[tuple[str, str]]] = {}
    contents: dict[str, str] = {}
    swapped: set[str] = set()
    cache = cache or RecordCache(None)

    def look(video: Video) -> tuple[Video, str, str, FileRecord]:
        source = dataset.source(video.name)
        key = f"{dataset.path(video.name).resolve()} {video.name}"
        stamp = _stamp(source)
        record = None if decode else cache.get(key, stamp)
        return video, key, stamp, record or record_of(source, decode=decode)

    workers = min(THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for done, (video, key, stamp, record) in enumerate(pool.map(look, dataset.videos), 1):
            cache.put(key, stamp, record)
            named = dataset.named_files(video.name)
            for name, message in [*record.faults, *_against_labels(video, named, record)]:
                found.setdefault(name, []).append((video.name, message))
                if name == "size-swapped":
                    swapped.add(video.name)
            if record.content:
                contents[video.name] = record.content
            if progress:
                progress(done, len(dataset.videos))
    findings = [grouped(name, split, places) for name, places in found.items()]
    return LookedAt(findings, contents, swapped)


def _stamp(source: Path | list[Path]) -> str:
    """Changes with the files; of a folder with its list of files and its first and last."""
    if isinstance(source, list):
        paths = [source[0].parent, source[0], source[-1]]
    elif source.is_dir():
        try:
            files = images_in(source)
        except TrovidError:
            files = []
        paths = [source, *files[:1], *files[-1:]]
    else:
        paths = [source]
    try:
        states = [path.stat() for path in paths]
    except OSError:
        return ""
    count = "" if isinstance(source, Path) else f"{len(source)} "
    return count + " ".join(f"{state.st_size}:{state.st_mtime_ns}" for state in states)


def record_of(source: Path | list[Path], *, decode: bool = False) -> FileRecord:
    """What the files of a video are."""
    if isinstance(source, list):
        return _record_of_images(source, decode=decode)
    if not source.exists():
        beside = source.parent.is_dir()
        hint = "" if beside else f", nor the folder {source.parent}"
        message = f"{source}: there is no such file or folder{hint}; correct the name or the place"
        return FileRecord(faults=[("missing-video", message)])
    if source.is_dir():
        try:
            return _record_of_images(images_in(source), decode=decode)
        except TrovidError as error:
            return FileRecord(faults=[("empty-video", str(error))])
    if source.stat().st_size == 0:
        return FileRecord(faults=[("empty-file", f"{source}: has no bytes; get the file again")])
    if source.suffix.lower() in SUFFIXES:
        return _record_of_images([source], decode=decode)
    return _record_of_file(source, decode=decode)


def _record_of_file(path: Path, *, decode: bool) -> FileRecord:
    content = _ends(path)
    try:
        seen = glance(path)
        if not decode:
            return FileRecord(seen.num_frames, seen.height, seen.width, content)
        reader = FileReader(path)
        frames = sum(1 for _ in reader)
        problems = [problem.removeprefix(f"{reader.source}: ") for problem in reader.problems]
        faults = [("damaged-video", f"{path}: {problem}") for problem in problems]
        return FileRecord(frames, seen.height, seen.width, content, faults)
    except TrovidError as error:
        return FileRecord(content=content, faults=[("unreadable-video", str(error))])


def _record_of_images(files: list[Path], *, decode: bool) -> FileRecord:
    faults: list[Fault] = []
    sizes = []
    for file in files:
        try:
            sizes.append(file.stat().st_size)
        except OSError:
            message = f"{file}: there is no such file; correct the name or put the frame there"
            faults.append(("missing-frame", message))
            continue
        if not sizes[-1]:
            faults.append(("empty-file", f"{file}: has no bytes; get the frame again"))
    height, width, content = 0, 0, ""
    if not faults:
        faults += _gaps(files)
        try:
            height, width = read_size(files[0])
            content = hashlib.sha256(repr(sizes).encode() + files[0].read_bytes()).hexdigest()[:32]
        except (TrovidError, OSError) as error:
            faults.append(("unreadable-frame", str(error)))
        ends = [file for file in dict.fromkeys([files[0], files[-1]]) if len(files) > 1]
        for file in files if decode else ends or [f for f in files if _seems_cut_off(f)]:
            try:
                size = read_image(file).shape[:2]
            except TrovidError as error:
                faults.append(("unreadable-frame", str(error)))
                continue
            if height and size != (height, width):
                message = f"{file}: is {size[1]}x{size[0]} among frames of {width}x{height}"
                faults.append(("size-differs", message))
    names = [file.name for file in files]
    return FileRecord(len(files), height, width, content, list(dict.fromkeys(faults)), names)


def _seems_cut_off(file: Path) -> bool:
    """Whether the end of a picture is not what its format ends with; quicker than decoding it."""
    with file.open("rb") as opened:
        first = opened.read(12)
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - 64))
        last = opened.read()
    if first.startswith(b"RIFF"):
        return int.from_bytes(first[4:8], "little") + 8 > size
    ends = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}
    end = ends.get(first[:2])
    return end is None or end not in last


def _ends(path: Path) -> str:
    with path.open("rb") as file:
        first = file.read(MEBIBYTE)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MEBIBYTE))
        return hashlib.sha256(f"{size}".encode() + first + file.read(MEBIBYTE)).hexdigest()[:32]


def _number(name: str) -> int | None:
    found = re.search(r"(\d+)(?!.*\d)", Path(name).stem)
    return int(found[1]) if found else None


def _gaps(files: Sequence[Path]) -> list[Fault]:
    """Numbers that are missing in names which otherwise count in even steps."""
    numbers = [n for n in (_number(file.name) for file in files) if n is not None]
    steps = Counter(after - before for before, after in pairwise(numbers))
    if len(numbers) < len(files) or len(numbers) < 4:
        return []
    (step, often), *_ = steps.most_common(1)
    if step < 1 or often < 0.7 * (len(numbers) - 1):
        return []
    for (before, after), file in zip(pairwise(numbers), files[1:], strict=False):
        if after - before > step:
            message = f"{file.parent}: no frame {before + step} comes before {file.name}"
            return [("frame-gap", message)]
    return []


def _against_labels(video: Video, named: Sequence[str] | None, record: FileRecord) -> list[Fault]:
    """What contradicts the labels."""
    if record.frames < 0:
        return []
    faults = _size(video, record)
    order = _order(named, record) if named else None
    if order:
        return [*faults, order]
    if record.frames < video.num_frames:
        gap = next((message for name, message in record.faults if name == "frame-gap"), "")
        hint = f"; {gap}" if gap else ""
        missing = (
            f"has {record.frames} frames, but the labels say {video.num_frames}{hint}; add what is "
            "missing or correct the labels"
        )
        return [*faults, ("missing-frame", missing)]
    if record.frames > video.num_frames:
        return [*faults, _too_many(video, record)]
    return faults


def _size(video: Video, record: FileRecord) -> list[Fault]:
    size, said = (record.height, record.width), (video.height, video.width)
    if size == said or not record.height:
        return []
    text = f"is {size[1]}x{size[0]}, but the labels say {said[1]}x{said[0]}"
    if size == said[::-1]:
        return [("size-swapped", f"{text}: exchange width and height in the labels")]
    return [("size-differs", f"{text}: the boxes belong to frames of another size")]


def _order(named: Sequence[str], record: FileRecord) -> Fault | None:
    """Where the labels name a frame's file, but another one is at this place."""
    if not record.names:
        return None
    places = {name: place for place, name in enumerate(record.names)}
    for index, name in enumerate(named):
        base = name.replace("\\", "/").rpartition("/")[2]
        if not base or (index < len(record.names) and record.names[index] == base):
            continue
        if base not in places:
            return ("missing-frame", f"frame {index} shall be {base}, which is not there")
        at = record.names[index] if index < len(record.names) else "nothing"
        odd = _odd_name(record.names)
        if len(record.names) > len(named) and odd:
            return ("stray-picture", f"{odd} is no frame and shifts what follows: move it away")
        text = f"frame {index} shall be {base}, but in the order of names {at} is at its place"
        return ("frame-order", f"{text}; correct the numbers of the frames or the names")
    return None


def _too_many(video: Video, record: FileRecord) -> Fault:
    more = f"has {record.frames} frames, but the labels say {video.num_frames}"
    if not record.names:
        return ("longer-video", f"{more}; those at the end are not used")
    odd = _odd_name(record.names)
    which = f"{odd} is named unlike the others" if odd else "see which pictures are no frames"
    return ("stray-picture", f"{more}: {which}; move away what is no frame, it shifts the labels")


def _odd_name(names: Sequence[str]) -> str | None:
    """A name that is not like most, numbers apart."""
    shapes: Mapping[str, int] = Counter(re.sub(r"\d+", "#", name) for name in names)
    usual = max(shapes, key=lambda shape: shapes[shape])
    others = [name for name in names if re.sub(r"\d+", "#", name) != usual]
    if others:
        return others[0]
    lengths = Counter(map(len, names))
    longest = max(lengths, key=lambda length: lengths[length])
    odd = [name for name in names if len(name) != longest]
    return odd[0] if odd and _one_width(names) else None


def _one_width(names: Sequence[str]) -> bool:
    """Whether nearly all names are of one length, as numbers with leading zeros are."""
    lengths = Counter(map(len, names))
    return max(lengths.values()) >= len(names) - 1
