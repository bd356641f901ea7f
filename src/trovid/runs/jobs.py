"""Which inputs there are, and where the results of each go."""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from trovid.errors import TrovidError
from trovid.video.fetched import is_picture_address
from trovid.video.file import VIDEO_NAME
from trovid.video.images import MOT_FRAMES, natural_key, video_name
from trovid.video.images import SUFFIXES as IMAGE_SUFFIXES
from trovid.video.live import is_live, stream_name

log = logging.getLogger("trovid")
VIDEO_HEAD = re.compile(
    rb".{4}ftyp(?!M4A)|\x1aE\xdf\xa3|RIFF.{4}AVI |FLV|GIF8|"
    rb"\x00\x00\x01[\xb3\xba]|\xff\xd8\xff|\x89PNG",
    re.DOTALL,
)
"""How videos and pictures begin that FFmpeg reads, whatever they are called."""
ENDINGS = {
    "video": ".mp4",
    "csv": ".csv",
    "coco": ".coco.json",
    "sheet": ".png",
    "picture": ".png",
    "parquet": ".parquet",
    "youtube-vis": ".youtube-vis.json",
    "masks": "-masks",
    "mot": ".txt",
    "report": ".md",
    "json": ".json",
}


@dataclass(frozen=True)
class Job:
    """One input and where its results go.

    Attributes:
        source: A path or a stream address.
        files: By kind (a key of ENDINGS), JSON last. A single picture has a drawn "picture" in
            place of "video" and "sheet".
    """

    source: str
    files: dict[str, Path]

    @property
    def name(self) -> str:
        """How tables and bars call the input."""
        if is_live(self.source):
            return self.source
        path = Path(self.source)
        return (video_name(path) if path.name == MOT_FRAMES else path.name) or self.source

    def existing(self) -> list[Path]:
        """Results that are there already."""
        return [file for file in self.files.values() if file.exists()]


def find_inputs(word: str) -> list[str]:
    """The inputs that a word of the command line names.

    Args:
        word: A file, a folder of images, a folder of videos and folders of images (those of MOT
            Challenge among them), a pattern with * that finds such, or an address.

    What lies in a folder and is not taken, so that it has to be named itself, is said in a line.

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
        return list(dict.fromkeys(inner for word in found for inner in _within(word)))
    return _within(word)


def _within(word: str) -> list[str]:
    path = Path(word)
    return _in_folder(path) if path.is_dir() else [word]


def _in_folder(path: Path) -> list[str]:
    inside = _listed(path)
    frame_folder = _frames_of(path)
    if frame_folder is not None:
        left_out = []
        for file in inside:
            if not file.is_dir():
                left_out += [file] if _is_video(file) else []
            elif file != frame_folder:
                left_out += [file] if _frames_of(file) else _places_of_videos(file)
        _say_left_out(path, left_out, "is taken as one video of frames")
        return [str(frame_folder)]
    found, left_out = [], []
    for file in inside:
        frames = _frames_of(file) if file.is_dir() else None
        if frames is not None:
            found.append(str(frames))
        elif file.is_dir():
            left_out += _places_of_videos(file)
        elif VIDEO_NAME.fullmatch(file.name):
            found.append(str(file))
        elif _is_video(file):
            left_out.append(file)
    _say_left_out(
        path,
        left_out,
        "is looked into, but not folders within its folders, nor files without a video's ending",
    )
    return found or [str(path)]


def _frames_of(folder: Path) -> Path | None:
    """The folder of frames that a folder is, or that a MOT sequence has; None for another."""
    inner = folder / MOT_FRAMES
    return next((place for place in (folder, inner) if place.is_dir() and _has_images(place)), None)


def _places_of_videos(folder: Path) -> list[Path]:
    """The folders, this one or within it, in which something is found if they are named."""
    inside = _listed(folder)
    folders = [file for file in inside if file.is_dir() and not file.is_symlink()]
    if any(map(_frames_of, folders)) or any(VIDEO_NAME.fullmatch(file.name) for file in inside):
        return [folder]
    return [place for inner in folders for place in _places_of_videos(inner)]


def _is_video(file: Path) -> bool:
    """Whether a file, which is no image by its name, is a video by its name or its beginning."""
    if VIDEO_NAME.fullmatch(file.name):
        return True
    if file.suffix.lower() in IMAGE_SUFFIXES or not file.is_file():
        return False
    try:
        with file.open("rb") as opened:
            return bool(VIDEO_HEAD.match(opened.read(12)))
    except OSError:
        return False


def _has_images(folder: Path) -> bool:
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in _listed(folder))


def _listed(folder: Path) -> list[Path]:
    """What is in a folder, in natural order, hidden files left out; nothing if it is closed."""
    try:
        inside = [file for file in folder.iterdir() if not file.name.startswith(".")]
    except OSError:
        return []
    return sorted(inside, key=lambda file: natural_key(file.name))


def _say_left_out(folder: Path, left_out: Sequence[Path], how: str) -> None:
    if left_out:
        names = ", ".join(file.relative_to(folder).as_posix() for file in left_out[:3])
        names += ", ..." if left_out[3:] else ""
        log.warning(
            "%s %s: name what is left out too to have it done (%d: %s)",
            folder,
            how,
            len(left_out),
            names,
        )


def jobs_for(
    sources: Sequence[str],
    inputs: Sequence[str],
    out: Path,
    kinds: Collection[str],
    *,
    online: bool = False,
) -> list[Job]:
    """Names the results after the sources, so that none is another's or one of the inputs.

    A picture in a folder of frames is an input too.

    Args:
        sources: What is run.
        inputs: All inputs, also those that cannot be read.
        out: Folder of the results.
        kinds: Keys of ENDINGS.
        online: Whether addresses are streams, whatever they end with.

    Example:
        >>> jobs = jobs_for(["a/clip.mp4", "b/clip.avi"], [], Path("out"), ["json", "video"])
        >>> [file.name for job in jobs for file in job.files.values()]
        ['clip.mp4', 'clip.json', 'clip-2.mp4', 'clip-2.json']
    """
    used = {_key(Path(word)) for word in inputs if not is_live(word)}
    if _key(out) in used:
        used |= {_key(file) for file in _listed(out) if file.suffix.lower() in IMAGE_SUFFIXES}
    jobs = []
    for source in sources:
        stem, wanted = result_stem(source), _kinds_of(source, kinds, online)
        number = 1
        while True:
            name = stem if number == 1 else f"{stem}-{number}"
            files = {kind: out / f"{name}{ending}" for kind, ending in ENDINGS.items()}
            keys = {_key(file) for file in files.values()}
            if not keys & used:
                break
            number += 1
        used |= keys
        jobs.append(Job(source, {kind: file for kind, file in files.items() if kind in wanted}))
    return jobs


def _kinds_of(source: str, kinds: Collection[str], online: bool) -> set[str]:
    """The files to write: of a single picture a picture, where there would be moving ones."""
    path = Path(source)
    if is_live(source):
        single = is_picture_address(source) and not online
    else:
        single = path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()
    if not single:
        return {*kinds}
    drawn = {"picture"} if {"video", "sheet"} & {*kinds} else set()
    return {*kinds} - {"video", "sheet"} | drawn


def result_stem(source: str) -> str:
    """What the results of an input are called, without their endings."""
    if is_live(source):
        return stream_name(source)
    path = Path(source)
    return video_name(path) if path.is_dir() else path.stem


def _key(path: Path) -> str:
    """Equal for names that are one file where case does not count."""
    return str(path.resolve()).casefold()
