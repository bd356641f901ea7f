"""How labels name a video that lies elsewhere, and frames as picture files."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from trovid.datasets.contract import Dataset
from trovid.files import replacing


def name_from(folder: Path, path: Path) -> str:
    """A path as it is written in a file of labels in a folder."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()


def plain(name: str) -> str:
    """A video's name as the name of a file or folder."""
    stem = name.rpartition(".")[0] if "." in name.rpartition("/")[2] else name
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem).strip(".") or "video"


def write_frames(folder: Path, dataset: Dataset, name: str) -> dict[int, Path]:
    """Writes the labelled frames of a video as PNG; those that are there stay.

    Returns:
        The file of each frame.
    """
    wanted = dataset.labelled_frames(name).tolist()
    files = {frame: folder / f"{plain(name)}_{frame:06}.png" for frame in wanted}
    missing = [frame for frame in wanted if not files[frame].exists()]
    if missing:
        for frame in dataset.open(name).walk(missing):
            with replacing(files[frame.index]) as partial:
                Image.fromarray(frame.image).save(partial, format="PNG")
    return files
