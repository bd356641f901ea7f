"""Where the video of a labelling tool's task lies, and its measures; whether labels fit it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from trovid.errors import TrovidError
from trovid.structures import Video
from trovid.video.glance import glance
from trovid.video.images import SUFFIXES, images_in, read_size

PLACES = (".", "videos", "data", "images", "..", "../videos", "../data", "../images", "../..")
UPLOAD = re.compile(r"^[0-9a-f]{6,}-")
"""What Label Studio puts before the name of an uploaded file."""


def find_video(folder: Path, stated: str) -> Path | None:
    """The video file, or the folder of its frames, of a name that a tool states.

    Args:
        folder: Where the labels lie.
        stated: A path from there, as trovid writes it; or a file name, a path on the tool's server,
            or an address, whose last part counts.
    """
    name = re.split(r"[?#]", stated)[0].replace("\\", "/").rstrip("/").rpartition("/")[2]
    names = [name, UPLOAD.sub("", name)]
    names += [other.rpartition(".")[0] for other in names]
    words = [word for word in dict.fromkeys(names) if word not in ("", ".", "..")]
    found = [folder / stated] if name in words and not Path(stated).anchor else []
    found += [folder / place / word for word in words for place in PLACES]
    return next((place for place in found if _may_be_video(place, folder)), None)


def _may_be_video(place: Path, folder: Path) -> bool:
    """Whether something is there that is no folder of labels alone."""
    if not os.path.isdir(place):
        return os.path.exists(place)
    labels = place.samefile(folder) or os.path.exists(place / "annotations.xml")
    return not labels or any(file.suffix.lower() in SUFFIXES for file in place.iterdir())


def measured(path: Path, name: str) -> tuple[Video, list[str] | None]:
    """A video's measures under a name, and the names of its frames' files where it is a folder.

    Raises:
        TrovidError: If it cannot be read.
    """
    if path.is_dir():
        files = images_in(path)
        return Video(name, len(files), *read_size(files[0])), [file.name for file in files]
    seen = glance(path)
    if not seen.num_frames:
        raise TrovidError(f"{path}: has no frames; get the file again")
    return Video(name, seen.num_frames, seen.height, seen.width, seen.frame_rate), None


def check_length(path: Path, length: int, wanted: int) -> None:
    """That a video has as many frames as its labels say.

    Args:
        path: The video, for the message.
        length: Its frames.
        wanted: What the labels say, or need.

    Raises:
        TrovidError: If it has fewer.
    """
    if length < wanted:
        raise TrovidError(
            f"{path}: has {length} frames, but its labels say {wanted} or more; correct the labels "
            "or replace the video"
        )
