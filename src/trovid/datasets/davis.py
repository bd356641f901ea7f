"""DAVIS: a folder of frames and a folder of masks (palette PNG) for each sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.imagenet_vid import Progress
from trovid.datasets.objects import ObjectRows
from trovid.errors import TrovidError
from trovid.files import below, replacing
from trovid.structures import Masks, Video
from trovid.video.images import UNREADABLE, images_in, read_size

CLASS = "object"
VOID = 255
"""The index of pixels that belong to nothing, in pictures that have other indices besides."""
RESOLUTIONS = ("480p", "Full-Resolution", "1080p")
YEARS = ("2017", "2016")


def is_davis(path: Path) -> bool:
    """Whether a folder holds JPEGImages and Annotations with a folder of PNG for each sequence."""
    folders = _folders(path)
    return folders is not None and any(folders[1].glob("*/*.png"))


def davis_splits(path: Path) -> tuple[str, ...]:
    """The splits that a list in ImageSets names."""
    return tuple(split for split in ("train", "val", "test") if _list(path, split))


def read_davis(
    path: Path,
    split: str | None = None,
    *,
    progress: Progress | None = None,
) -> Dataset:
    """The sequences of a folder; every object is of the one class "object".

    A mask picture holds for each pixel the number of the object that it shows, 0 for none. 255
    alone is object 1 (DAVIS 2016), beside other numbers it belongs to nothing. A frame with a mask
    picture is labelled, also one that shows nothing; the others may only support them. Each mask
    picture is read once, here.

    Args:
        path: The folder: JPEGImages and Annotations, in each 480p or another resolution or
            directly a folder for each sequence; lists in ImageSets/2017 or 2016 name the splits.
        split: "train", "val" or "test"; None for all sequences.
        progress: Called with (sequences done, sequences in all).

    Raises:
        TrovidError: If a list, a sequence or a mask is missing or unreadable.
    """
    folders = _folders(path)
    if folders is None:
        raise TrovidError(f"{path}: must hold JPEGImages and Annotations")
    images, masks = folders
    file = _list(path, split) if split else None
    if split and file is None:
        raise TrovidError(f"{path}: ImageSets has no list {split}.txt")
    every = sorted(folder.name for folder in masks.iterdir() if folder.is_dir())
    names = list(_listed(file)) if file else every
    rows, entries = ObjectRows(), []
    for done, name in enumerate(names, 1):
        entries.append(_read_sequence(below(images, name), below(masks, name), rows, len(entries)))
        if progress:
            progress(done, len(names))
    info = {"name": "DAVIS"} if split is None else {"name": "DAVIS", "split": split}
    return Dataset([CLASS], entries, rows.objects(), info=info, box_layout="xyxy")


def write_mask_picture(path: Path, masks: Masks, numbers: Sequence[int]) -> None:
    """One frame as a palette PNG in DAVIS's colours; of masks that overlap the later ones win.

    Args:
        path: The file.
        masks: The masks of the frame.
        numbers: For each its number, 1..254.

    Raises:
        ValueError: If a number is out of range.
        TrovidError: If the file cannot be written.
    """
    if any(not 1 <= number < VOID for number in numbers):
        raise ValueError(f"`numbers` must lie in 1..{VOID - 1}, but are {list(numbers)}")
    indices = np.zeros(masks.size, dtype=np.uint8)
    for index, number in enumerate(numbers):
        (left, top), mask = masks.window(index)
        height, width = mask.shape
        indices[top : top + height, left : left + width][mask] = number
    picture = Image.fromarray(indices, mode="P")
    picture.putpalette(palette())
    with replacing(path) as partial:
        picture.save(partial)


def palette() -> list[int]:
    """The colours of PASCAL VOC and DAVIS: the bits of a number, spread over red, green, blue."""
    colours = []
    for number in range(256):
        for channel in range(3):
            bits = [(number >> (3 * place + channel)) & 1 for place in range(3)]
            colours.append(sum(bit << (7 - place) for place, bit in enumerate(bits)))
    return colours


def _folders(path: Path) -> tuple[Path, Path] | None:
    """The folders of the sequences' frames and of their masks."""
    found = path / "JPEGImages", path / "Annotations"
    if not all(folder.is_dir() for folder in found):
        return None
    for resolution in RESOLUTIONS:
        inside = tuple(folder / resolution for folder in found)
        if all(folder.is_dir() for folder in inside):
            return inside[0], inside[1]
    return found


def _list(path: Path, split: str) -> Path | None:
    names = [f"{year}/{split}.txt" for year in YEARS] + [f"{split}.txt"]
    found = (path / "ImageSets" / name for name in names)
    return next((file for file in found if file.is_file()), None)


def _listed(path: Path) -> Iterator[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TrovidError(f"{path}: cannot be read: {error}") from error
    return (line.strip() for line in lines if line.strip())


def _read_sequence(images: Path, masks: Path, rows: ObjectRows, number: int) -> VideoEntry:
    files = images_in(images)
    height, width = read_size(files[0])
    places = {file.stem: index for index, file in enumerate(files)}
    labelled = []
    pictures = [file for file in images_in(masks) if file.suffix.lower() == ".png"]
    for picture in pictures:
        if picture.stem not in places:
            raise TrovidError(f"{picture}: has no frame of this name in {images}")
        indices = _read_picture(picture)
        if indices.shape != (height, width):
            raise TrovidError(
                f"{picture}: is {indices.shape[1]}x{indices.shape[0]}, "
                f"but the frames are {width}x{height}"
            )
        frame = places[picture.stem]
        labelled.append(frame)
        objects = np.unique(indices)
        objects = objects[objects > 0]
        if len(objects) > 1:
            objects = objects[objects != VOID]
        dense = indices[None] == objects[:, None, None]
        found = Masks.from_dense(dense)
        objects[objects == VOID] = 1
        for instance, box, code in zip(
            objects.tolist(), found.boxes.tolist(), found.counts, strict=True
        ):
            rows.add(number, frame, 0, box, instance_id=instance, mask=code)
    video = Video(images.name, len(files), height, width)
    return VideoEntry(video, str(images), sorted(labelled))


def _read_picture(path: Path) -> NDArray[np.uint8]:
    """The numbers that a mask picture holds."""
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("1", "L", "P"):
                raise TrovidError(
                    f"{path}: must be a palette or grey picture of numbers, but is {picture.mode}"
                )
            return np.array(picture, dtype=np.uint8)
    except UNREADABLE as error:
        raise TrovidError(f"{path}: not a readable image ({error})") from error
