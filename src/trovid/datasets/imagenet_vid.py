"""ImageNet VID and DET as they are distributed: folders of JPEG files and one XML file a frame."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree import ElementTree

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.findings import Faults
from trovid.datasets.objects import ObjectRows
from trovid.datasets.ranges import FARTHEST, MOST_MEASURE, whole_number
from trovid.datasets.xml_files import read_xml
from trovid.errors import TrovidError, shortened
from trovid.structures import Video

log = logging.getLogger("trovid")
CLASSES = {
    "n02691156": "airplane",
    "n02419796": "antelope",
    "n02131653": "bear",
    "n02834778": "bicycle",
    "n01503061": "bird",
    "n02924116": "bus",
    "n02958343": "car",
    "n02402425": "cattle",
    "n02084071": "dog",
    "n02121808": "domestic_cat",
    "n02503517": "elephant",
    "n02118333": "fox",
    "n02510455": "giant_panda",
    "n02342885": "hamster",
    "n02374451": "horse",
    "n02129165": "lion",
    "n01674464": "lizard",
    "n02484322": "monkey",
    "n03790512": "motorcycle",
    "n02324045": "rabbit",
    "n02509815": "red_panda",
    "n02411705": "sheep",
    "n01726692": "snake",
    "n02355227": "squirrel",
    "n02129604": "tiger",
    "n04468005": "train",
    "n01662784": "turtle",
    "n04530566": "watercraft",
    "n02062744": "whale",
    "n02391049": "zebra",
}
"""WordNet id and name of the 30 classes; objects of DET's other classes are left out."""

FLAGS = ("occluded", "generated")
VID_LIST, DET_LIST = "VID_train_15frames.txt", "DET_train_30classes.txt"
Progress = Callable[[int, int], None]


def is_imagenet_vid(folder: Path) -> bool:
    """Whether a folder (`ILSVRC2015`) holds frames and annotations of ImageNet VID."""
    return all((folder / kind / "VID").is_dir() for kind in ("Data", "Annotations"))


def imagenet_splits(folder: Path) -> tuple[str, ...]:
    """The splits whose videos or lists are there."""
    there = {
        "train": (folder / "ImageSets" / VID_LIST).is_file(),
        "val": (folder / "Data/VID/val").is_dir(),
    }
    return tuple(split for split, found in there.items() if found)


def read_imagenet_vid(folder: Path, split: str, *, progress: Progress | None = None) -> Dataset:
    """The labels of a split of ImageNet VID.

    "val": every video of `Data/VID/val` with every frame. "train": the frames that the list
    `ImageSets/VID_train_15frames.txt` names, at most 15 of each video; the other frames may still
    support them. Where there is `ImageSets/DET_train_30classes.txt`, each image of ImageNet DET
    that it names joins as a video of one frame. (Both lists: Zhu et al., FGFA, 2017.)

    Boxes are (xmin, ymin, xmax - xmin, ymax - ymin) as the published code takes them; those
    without a width or a height are left out, and a warning counts them. An object without a
    `trackid` is one of its own.

    Args:
        folder: `ILSVRC2015`, with Data, Annotations and for training ImageSets.
        split: "train" or "val".
        progress: Called with (videos done, videos in all).

    Raises:
        TrovidError: If a list, a frame or an annotation is missing or unreadable.
    """
    labels = _Labels(folder)
    if split == "val":
        names = sorted(path.name for path in (folder / "Data/VID/val").glob("*") if path.is_dir())
        if not names:
            raise TrovidError(f"{folder / 'Data/VID/val'}: holds no videos")
        for done, name in enumerate(names, 1):
            frames = sorted((folder / "Data/VID/val" / name).glob("*.JPEG"))
            labels.add(f"VID/val/{name}", len(frames), range(len(frames)))
            if progress:
                progress(done, len(names))
    else:
        videos = _listed_videos(folder)
        images = _listed_images(folder)
        total = len(videos) + len(images)
        for done, (path, (length, frames)) in enumerate(videos.items(), 1):
            labels.add(f"VID/{path}", length, frames)
            if progress:
                progress(done, total)
        for done, path in enumerate(images, len(videos) + 1):
            labels.add_image(f"DET/{path}")
            if progress:
                progress(done, total)
    if labels.without_area:
        log.warning("%s: %d boxes without area are left out", folder, labels.without_area)
    info = {"name": "ImageNet VID", "split": split}
    return Dataset(
        list(CLASSES.values()),
        labels.entries,
        labels.rows.objects(),
        info=info,
        box_layout="xyxy",
    )


def _listed_videos(folder: Path) -> dict[str, tuple[int, list[int]]]:
    """Path of each video in the list, its length and its chosen frames."""
    videos: dict[str, tuple[int, list[int]]] = {}
    for number, fields in _lines(folder, VID_LIST):
        try:
            path, _, frame, length = fields
            count = whole_number(length, 1, MOST_MEASURE, "length")
            _, frames = videos.setdefault(path, (count, []))
            frames.append(whole_number(frame, 0, count - 1, "frame"))
        except ValueError as error:
            raise TrovidError(
                f"{VID_LIST}:{number}: must be `video 1 frame length`, "
                f"but is {shortened(' '.join(fields), 100)}"
            ) from error
    return videos


def _listed_images(folder: Path) -> list[str]:
    if not (folder / "ImageSets" / DET_LIST).exists():
        log.warning("%s: without ImageNet DET, there is no ImageSets/%s", folder, DET_LIST)
        return []
    return [fields[0] for _, fields in _lines(folder, DET_LIST)]


def _lines(folder: Path, name: str) -> Iterable[tuple[int, list[str]]]:
    path = folder / "ImageSets" / name
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TrovidError(f"{path}: is no text ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise TrovidError(
            f"{path}: cannot be read ({error.strerror}); place the published list of training "
            "frames (FGFA) there"
        ) from error
    return [(n, line.split()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]


class _Labels:
    """The videos read so far and their objects."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.label_of = {code: label for label, code in enumerate(CLASSES)}
        self.without_area = 0
        self.names: Counter[str] = Counter()
        self.entries: list[VideoEntry] = []
        self.rows = ObjectRows()

    def add(self, path: str, length: int, frames: Iterable[int]) -> None:
        """A video: a folder below Data, whose frames are 000000.JPEG, 000001.JPEG, ..."""
        xmls = {frame: self.folder / "Annotations" / path / f"{frame:06}.xml" for frame in frames}
        self._add(f"Data/{path}", length, xmls)

    def add_image(self, path: str) -> None:
        """An image of DET, as a video of one frame."""
        self._add(f"Data/{path}.JPEG", 1, {0: self.folder / "Annotations" / f"{path}.xml"})

    def _add(self, file_name: str, length: int, xmls: dict[int, Path]) -> None:
        stem = Path(file_name).stem
        self.names[stem] += 1
        copy = self.names[stem]
        tracks: dict[str, int] = {}
        width, height = 0, 0
        for frame, path in xmls.items():
            root = read_xml(path, Faults())
            assert root is not None
            try:
                width, height = (
                    whole_number(_text(root, place), 1, MOST_MEASURE, place)
                    for place in ("size/width", "size/height")
                )
                for thing in root.iterfind("object"):
                    self._add_object(thing, frame, tracks)
            except ValueError as error:
                raise TrovidError(f"{path}: no annotation of ImageNet VID ({error})") from error
        name = stem if copy == 1 else f"{stem}#{copy}"
        self.entries.append(
            VideoEntry(
                Video(name, length, height, width), str(self.folder / file_name), sorted(xmls)
            )
        )

    def _add_object(self, thing: ElementTree.Element, frame: int, tracks: dict[str, int]) -> None:
        code = _text(thing, "name")
        if code not in self.label_of:
            return
        x1, y1, x2, y2 = (
            whole_number(_text(thing, f"bndbox/{side}"), -FARTHEST, FARTHEST, side)
            for side in ("xmin", "ymin", "xmax", "ymax")
        )
        if x2 <= x1 or y2 <= y1:
            self.without_area += 1
            return
        track = thing.findtext("trackid")
        flags = {name: thing.findtext(name) for name in FLAGS}
        self.rows.add(
            len(self.entries),
            frame,
            self.label_of[code],
            (x1, y1, x2, y2),
            instance_id=None if track is None else tracks.setdefault(track, len(tracks)),
            attributes={
                name: whole_number(flag, 0, 1, name)
                for name, flag in flags.items()
                if flag is not None
            },
        )


def _text(element: ElementTree.Element, place: str) -> str:
    text = element.findtext(place)
    if text is None:
        raise ValueError(f"it has no {place}")
    return text
