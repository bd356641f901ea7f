"""Whether a video is a clip of SynthVID."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path
from typing import Any

from trovid.datasets.synthvid.clip import SPLITS

HEAD_BYTES = 256
"""Of a split's JSON: `write_split` begins it with the name of the data."""


def is_clip(source: Any) -> bool:
    """Whether a source is a clip where `write_split` has put it.

    Its name says so (test_00012.mp4, or a folder test_00012), and so does the JSON of its split
    beside its folder. Pictures that a program holds say nothing of where they come from.

    Args:
        source: A path, or anything else that is a video.
    """
    if not isinstance(source, str | PathLike):
        return False
    path = Path(source).absolute()
    split = path.parent.name
    if split not in SPLITS or not re.fullmatch(rf"{split}_\d{{5}}(\.mp4)?", path.name):
        return False
    try:
        with (path.parent.parent / f"{split}.json").open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    return bool(re.match(rb'\{"info": ?\{"name": ?"SynthVID"', head))
