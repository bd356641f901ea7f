"""How labels name a video that lies elsewhere, and frames as picture files."""

from __future__ import annotations

import os
from collections.abc import Sequence
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


def write_frames(
    folder: Path,
    dataset: Dataset,
    name: str,
    *,
    called: str | None = None,
    frames: Sequence[int] | None = None,
    first: int = 0,
) -> dict[int, Path]:
    """Writes frames of a video as PNG; those that are there stay.

    Args:
        folder: Where to.
        dataset: The data set.
        name: Of the video.
        called: The names of the files, with {} for the number; None: the video's and the number.
        frames: Which frames; None for the labelled ones.
        first: The number of frame 0.

    Returns:
        The file of each frame.
    """
    wanted = dataset.labelled_frames(name).tolist() if frames is None else list(frames)
    called = f"{plain(name)}_{{:06}}.png" if called is None else called
    files = {frame: folder / called.format(frame + first) for frame in wanted}
    missing = [frame for frame in wanted if not files[frame].exists()]
    if missing:
        for frame in dataset.open(name).walk(missing):
            with replacing(files[frame.index]) as partial:
                Image.fromarray(frame.image).save(partial, format="PNG")
    return files
