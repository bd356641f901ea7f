"""A data set from whatever holds it: which format a file or folder is, and its reader."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trovid.datasets import (
    cvat,
    davis,
    epic_kitchens,
    imagenet_vid,
    imagenet_vid_truth,
    json_formats,
    mixed,
    mot,
    voc,
    yolo,
    youtube_vis,
)
from trovid.datasets.contract import Dataset
from trovid.datasets.findings import Faults
from trovid.datasets.joining import joined
from trovid.datasets.ranges import check_ranges
from trovid.datasets.splitting import split_videos
from trovid.errors import TrovidError, nearest

log = logging.getLogger("trovid")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Format:
    """A way in which labelled videos lie on a disk.

    Attributes:
        name: What it is called.
        layout: What it looks like, in a line.
        recognises: Whether a path is of this format.
        splits: The splits that there are; () where nothing says which video is for what.
        read: Reads a split, or with None everything; faults and progress as in `read_dataset`.
    """

    name: str
    layout: str
    recognises: Callable[[Path], bool]
    splits: Callable[[Path], tuple[str, ...]]
    read: Callable[[Path, str | None, Faults, Progress | None], Dataset]


FORMATS = (
    Format(
        "YouTube-VIS",
        "train.json or train/instances.json (OVIS: annotations_train.json) and train/JPEGImages",
        youtube_vis.is_youtube_vis,
        youtube_vis.youtube_vis_splits,
        lambda path, split, faults, progress: youtube_vis.read_youtube_vis(
            path, split, faults=faults
        ),
    ),
    Format(
        "a mixture",
        'a JSON file {"mix": [{"data": PATH, "weight": NUMBER}, ...]}',
        mixed.is_mixed,
        lambda path: mixed.mixed_splits(path, splits_of),
        lambda path, split, faults, progress: mixed.read_mixed(path, split, read_split, splits_of),
    ),
    Format(
        "JSON",
        "a JSON file, or a folder with train.json and val.json, or with one JSON file",
        json_formats.recognises,
        json_formats.splits,
        json_formats.read,
    ),
    Format(
        "ImageNet VID",
        "ILSVRC2015 with Data, Annotations and ImageSets",
        imagenet_vid.is_imagenet_vid,
        imagenet_vid.imagenet_splits,
        lambda path, split, faults, progress: imagenet_vid.read_imagenet_vid(
            path, split or "train", progress=progress
        ),
    ),
    Format(
        "Pascal VOC",
        "Annotations/*.xml and JPEGImages, maybe ImageSets/Main",
        voc.is_voc,
        voc.voc_splits,
        lambda path, split, faults, progress: voc.read_voc(
            path, split=split, faults=faults, progress=progress
        ),
    ),
    Format(
        "EPIC-KITCHENS-55",
        "EPIC_train_object_labels.csv (maybe in annotations) and object_detection_images",
        epic_kitchens.is_epic_kitchens,
        epic_kitchens.epic_splits,
        lambda path, split, faults, progress: epic_kitchens.read_epic_kitchens(
            path, split=split, faults=faults, progress=progress
        ),
    ),
    Format(
        "YOLO",
        "data.yaml, or images, labels and classes.txt",
        yolo.is_yolo,
        yolo.yolo_splits,
        lambda path, split, faults, progress: yolo.read_yolo(
            path, split=split, faults=faults, progress=progress
        ),
    ),
    Format(
        "CVAT for video",
        "annotations.xml, or a folder of such files, beside the videos",
        cvat.is_cvat,
        cvat.cvat_splits,
        lambda path, split, faults, progress: cvat.read_cvat(
            path, faults=faults, progress=progress
        ),
    ),
    Format(
        "DAVIS",
        "JPEGImages and Annotations with a folder for each sequence, maybe ImageSets",
        davis.is_davis,
        davis.davis_splits,
        lambda path, split, faults, progress: davis.read_davis(path, split, progress=progress),
    ),
    Format(
        "MOT Challenge",
        "train with a folder for each sequence: img1, gt/gt.txt, seqinfo.ini",
        mot.is_mot,
        mot.mot_splits,
        lambda path, split, faults, progress: mot.read_mot(path, split, progress=progress),
    ),
    Format(
        "ImageNet VID's ground truth",
        "the folder of its official validation ground truth",
        imagenet_vid_truth.is_imagenet_vid_truth,
        lambda path: ("val",),
        lambda path, split, faults, progress: imagenet_vid_truth.read_imagenet_vid_truth(path),
    ),
)
"""In the order in which they are asked."""


def format_of(path: Path) -> Format:
    """The format of a file or folder.

    Raises:
        TrovidError: If there is nothing there, or it is of no known format.
    """
    if not path.exists():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, beside, otherwise="check the name")
        raise TrovidError(f"{path}: cannot be read: no such file or folder{hint}")
    for known in FORMATS:
        if known.recognises(path):
            return known
    layouts = "; ".join(f"{known.name}: {known.layout}" for known in FORMATS)
    raise TrovidError(f"{path}: no labels of a known format are there. Known are {layouts}")


def splits_of(path: Path) -> tuple[str, ...]:
    """The splits that a file or folder has; () where nothing says which video is for what."""
    return format_of(path).splits(path)


def read_split(
    path: Path,
    split: str | None,
    *,
    progress: Progress | None = None,
    faults: Faults | None = None,
) -> Dataset:
    """A split as it is there, without taking validation videos out of it.

    Args:
        path: A file of labels or a folder.
        split: One of `splits_of`; None for all videos.
        progress: See `read_dataset`, as `faults`.
        faults: What to do about what does not fit; None raises.

    Raises:
        TrovidError: If something cannot be read or does not fit.
    """
    return _read(format_of(path), path, split, faults or Faults(), progress)


def read_dataset(
    path: Path,
    *,
    split: str | None = "val",
    progress: Progress | None = None,
    faults: Faults | None = None,
) -> Dataset:
    """The labelled videos of a file or folder; the format is recognised (`FORMATS`).

    Args:
        path: A file of labels, which is read whole, or a folder.
        split: "train", "val" or "test" of a folder; None for all videos. Where a folder has no
            validation videos, some of the others stand for them (`split_videos`), and a line
            says so.
        progress: Called with (videos done, videos in all) where many files are read.
        faults: What to do about what does not fit; None raises.

    Raises:
        TrovidError: If something cannot be read or does not fit.
    """
    faults, path = faults or Faults(), Path(path)
    known = format_of(path)
    there = known.splits(path)
    if not there and not path.is_dir():
        return _read(known, path, None, faults, progress)
    undivided = "val" not in there and (not there or "train" in there)
    if split in (None, "test") or not undivided:
        return _read(known, path, split, faults, progress)
    whole = _read(known, path, "train" if there else None, faults, progress)
    train, val = split_videos(whole)
    if split == "val" and not val:
        raise TrovidError(
            f"{path}: has no validation videos, and no video can be spared for them: add videos, "
            "so that each class is in two of them, or give a val split"
        )
    log.warning("%s", division(path, train, val))
    return whole.subset(train if split == "train" else val)


def read_labels(path: Path, suffices: Callable[[Dataset], bool] = lambda val: True) -> Dataset:
    """The labels that given results are held against or drawn with: no video is kept back.

    Args:
        path: A file of labels or a folder.
        suffices: Whether the validation videos, where there are any, are all that is needed; if
            not, the videos of all splits are read.

    Raises:
        TrovidError: If something cannot be read or does not fit.
    """
    path = Path(path)
    known = format_of(path)
    there, faults = known.splits(path), Faults()
    if not there:
        return _read(known, path, None, faults, None)
    splits = {}
    for split in sorted(there, key=lambda split: split != "val"):
        splits[split] = _read(known, path, split, faults, None)
        if split == "val" and suffices(splits[split]):
            break
    return joined(splits) if len(splits) > 1 else splits[split]


def learned_from(path: Path, whole: Dataset) -> str | None:
    """What a training on a file learns of the videos that `read_dataset` gives of it, in a line.

    Args:
        path: The file, of which a training keeps some videos back where it names none.
        whole: Its videos.

    Returns:
        None where the file names its splits, or is called as labels of one to be measured.
    """
    to_measure = re.search(r"(^|[^a-z])(val|test)", path.stem.lower())
    if path.is_dir() or splits_of(path) or to_measure:
        return None
    train, val = split_videos(whole)
    if not val:
        return None
    return (
        f"{path}: names no validation videos and is read whole: a training on it learns from "
        f"{len(train)} of these {len(whole.videos)} videos; `trovid data split {path}` writes "
        "those that it keeps back to val.json, to be given instead"
    )


def _read(
    known: Format, path: Path, split: str | None, faults: Faults, progress: Progress | None
) -> Dataset:
    dataset = known.read(path, split, faults, progress)
    check_ranges(dataset, path, faults)
    return dataset


def division(path: Path, train: list[str], val: list[str]) -> str:
    """How the videos of a folder without validation videos are divided, in a line."""
    shown = ", ".join(val[:5]) + (", ..." if len(val) > 5 else "")
    return (
        f"{path}: no split is given: {len(train)} videos are for training, {len(val)} for "
        f"validation ({shown}); `trovid data split` writes it down"
    )
