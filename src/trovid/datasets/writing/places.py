"""How labels name a video that lies elsewhere, and frames as picture files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from PIL import Image

from trovid.datasets.contract import Dataset
from trovid.errors import TrovidError
from trovid.files import replacing
from trovid.video.images import images_in


def name_from(folder: Path, path: Path) -> str:
    """A path as it is written in a file of labels in a folder."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive, or a name that no file can have
        return path.absolute().as_posix()


def place_of(dataset: Dataset, name: str) -> Path:
    """A video's file, or the folder that all its frames lie in."""
    place, files = dataset.path(name), dataset.named_files(name)
    folders = {os.path.dirname(file) for file in files} if files and all(files) else {""}
    return place / folders.pop() if len(folders) == 1 else place


def frame_files(dataset: Dataset, name: str) -> list[str] | None:
    """The files of a video's frames from `place_of`, where labels name all of them."""
    files = dataset.named_files(name)
    if not files or not all(files):
        return None
    inside = place_of(dataset, name) == dataset.path(name)
    return [file if inside else os.path.basename(file) for file in files]


def counted_place(dataset: Dataset, name: str) -> Path:
    """`place_of`, for a form that names a frame by its number in a folder.

    Raises:
        TrovidError: If the frames are not all pictures of their folder, in the order of the names.
    """
    place, files = place_of(dataset, name), frame_files(dataset, name)
    if files and place.is_dir():
        try:
            inside = [file.name for file in images_in(place)]
        except TrovidError:  # it has none
            inside = []
        if inside != files:
            raise TrovidError(
                f"video {name!r}: its frames are not all the pictures of {place}, in which this "
                "form counts; put them into a folder of their own, or write coco-vid"
            )
    return place


def plain_names(dataset: Dataset) -> dict[str, str]:
    """By each video's name one for a file or folder, which no other video of the data set has.

    It is the name without the suffix of a video's file. Where several would be called alike, on a
    disk that does not tell capitals either, the first is called so and the others NAME-2, NAME-3.
    """
    wanted = {video.name: _plain(video.name, dataset.path(video.name)) for video in dataset.videos}
    taken = {plain.casefold() for plain in wanted.values()}
    first: set[str] = set()
    names = {}
    for name, plain in wanted.items():
        if plain.casefold() in first:
            numbered = (f"{plain}-{number}" for number in count(2))
            plain = next(other for other in numbered if other.casefold() not in taken)
        names[name] = plain
        first.add(plain.casefold())
        taken.add(plain.casefold())
    return names


def _plain(name: str, path: Path) -> str:
    stem = name if os.path.isdir(path) else name.removesuffix(path.suffix)
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem).strip(".") or "video"


def write_frames(
    folder: Path,
    dataset: Dataset,
    name: str,
    *,
    called: str,
    frames: Sequence[int] | None = None,
    first: int = 0,
) -> dict[int, Path]:
    """Writes frames of a video as PNG, in the place of those that are there.

    Args:
        folder: Where to.
        dataset: The data set.
        name: Of the video.
        called: The names of the files, with {} for the number.
        frames: Which frames; None for the labelled ones.
        first: The number of frame 0.

    Returns:
        The file of each frame.

    Raises:
        TrovidError: If the video's own frames lie there, or it cannot be read.
    """
    place = place_of(dataset, name)
    if place.is_dir() and folder.is_dir() and place.samefile(folder):
        raise TrovidError(f"{folder}: holds the video's own frames; write into another folder")
    wanted = dataset.labelled_frames(name).tolist() if frames is None else list(frames)
    files = {frame: folder / called.format(frame + first) for frame in wanted}
    if wanted:
        for frame in dataset.open(name).walk(wanted):
            with replacing(files[frame.index]) as partial:
                Image.fromarray(frame.image).save(partial, format="PNG")
    return files
