"""Which inputs there are, and where the results of each go."""

from __future__ import annotations

import glob
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from trovid.errors import TrovidError
from trovid.video.images import SUFFIXES as IMAGE_SUFFIXES
from trovid.video.images import natural_key
from trovid.video.live import is_live, stream_name

VIDEO_NAME = re.compile(
    r".+\.(3gp|avi|flv|gif|m2ts|m4v|mkv|mov|mp4|mpe?g|mts|mxf|ogv|ts|webm|wmv)", re.IGNORECASE
)
ENDINGS = {
    "video": ".mp4",
    "csv": ".csv",
    "coco": ".coco.json",
    "sheet": ".png",
    "parquet": ".parquet",
    "youtube-vis": ".youtube-vis.json",
    "masks": "-masks",
    "mot": ".txt",
    "json": ".json",
}


@dataclass(frozen=True)
class Job:
    """One input and where its results go.

    Attributes:
        source: A path or a stream address.
        files: By kind (a key of ENDINGS), JSON last.
    """

    source: str
    files: dict[str, Path]

    @property
    def name(self) -> str:
        """How tables and bars call the input."""
        return self.source if is_live(self.source) else Path(self.source).name or self.source

    def existing(self) -> list[Path]:
        """Results that are there already."""
        return [file for file in self.files.values() if file.exists()]


def find_inputs(word: str) -> list[str]:
    """The inputs that a word of the command line names.

    Args:
        word: A file, a folder of images, a folder of videos, a pattern with * or a stream address.

    Raises:
        TrovidError: If a pattern fits nothing, or the word is empty.
    """
    if not word:
        raise TrovidError("an empty name names no video; the current folder is called .")
    if is_live(word):
        return [word]
    path = Path(word)
    if not path.exists() and glob.has_magic(word):
        found = sorted(glob.glob(word, recursive=True), key=natural_key)
        if not found:
            raise TrovidError(f"{word}: no file or folder fits this pattern; check it")
        return found
    if path.is_dir():
        inside = sorted(path.iterdir(), key=lambda file: natural_key(file.name))
        if not any(file.suffix.lower() in IMAGE_SUFFIXES for file in inside):
            return [str(f) for f in inside if VIDEO_NAME.fullmatch(f.name)] or [word]
    return [word]


def jobs_for(
    sources: Sequence[str], inputs: Sequence[str], out: Path, kinds: Collection[str]
) -> list[Job]:
    """Names the results after the sources, so that none is another's or one of the inputs.

    Args:
        sources: What is run.
        inputs: All inputs, also those that cannot be read.
        out: Folder of the results.
        kinds: Keys of ENDINGS.

    Example:
        >>> jobs = jobs_for(["a/clip.mp4", "b/clip.avi"], [], Path("out"), ["json", "video"])
        >>> [file.name for job in jobs for file in job.files.values()]
        ['clip.mp4', 'clip.json', 'clip-2.mp4', 'clip-2.json']
    """
    used = {_key(Path(word)) for word in inputs if not is_live(word)}
    jobs = []
    for source in sources:
        stem = _stem(source)
        number = 1
        while True:
            name = stem if number == 1 else f"{stem}-{number}"
            files = {kind: out / f"{name}{ending}" for kind, ending in ENDINGS.items()}
            keys = {_key(file) for file in files.values()}
            if not keys & used:
                break
            number += 1
        used |= keys
        jobs.append(Job(source, {kind: file for kind, file in files.items() if kind in kinds}))
    return jobs


def _stem(source: str) -> str:
    if is_live(source):
        return stream_name(source)
    path = Path(source)
    return path.resolve().name if path.is_dir() else path.stem


def _key(path: Path) -> str:
    """Equal for names that are one file where case does not count."""
    return str(path.resolve()).casefold()
