"""Videos in and out: one reader for files, folders of images, lists of images and arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from trovid.errors import TrovidError, without_password
from trovid.video.fetched import fetched, is_web_address
from trovid.video.file import FileReader
from trovid.video.images import (
    MOT_FRAMES,
    SUFFIXES,
    ArrayReader,
    ImageReader,
    PictureReader,
    images_in,
    read_image,
    video_name,
)
from trovid.video.live import NO_END, is_live
from trovid.video.pictures import as_picture, as_pictures, is_picture
from trovid.video.reader import Frame, VideoReader
from trovid.video.writer import VideoWriter

__all__ = ["Frame", "VideoReader", "VideoSource", "VideoWriter", "as_frames", "open_video"]

VideoSource = str | PathLike[str] | Iterable[object]


def open_video(
    source: VideoSource, *, frame_rate: float = 0.0, allow_playlist: bool = False
) -> VideoReader:
    """Opens anything that holds the frames of one video.

    Args:
        source: A video file; a folder of images (in natural order: 2 before 10), also a sequence
            of MOT Challenge, whose frames lie in its `img1`; one image file, a video of one frame;
            an http(s) address of a video or image file, which is fetched first; a list of image
            files (in the order given); an array uint8 [T, H, W, 3] in RGB; a tensor uint8
            [T, 3, H, W] or [T, H, W, 3]; a single picture (array, tensor, PIL image); a list or a
            generator of such. A generator is taken to its end and its pictures stay in memory.
        frame_rate: Frames per second of images or arrays, which do not know it (0: unknown, then
            every frame's time is 0). A video file knows its own and ignores this.
        allow_playlist: Whether a file may be a playlist (.m3u8, ffconcat, SDP), for which the
            files and addresses that it names are read.

    Returns:
        A reader: iterate over it for all frames, or `read` some.

    Raises:
        TrovidError: If there is nothing to read: file missing, empty, damaged or no video.
        TypeError: If `source` is none of the above.
        ValueError: If an array has another shape or type.

    Example:
        >>> import numpy as np
        >>> reader = open_video(np.zeros((5, 4, 6, 3), np.uint8), frame_rate=25)
        >>> reader.video.num_frames, reader.video.height, reader.video.width
        (5, 4, 6)
        >>> [frame.time for frame in reader.read([3, 0])]
        [0.12, 0.0]
    """
    if isinstance(source, str | PathLike):
        if not str(source):
            raise TrovidError("an empty name names no video; the current folder is called .")
        if is_web_address(str(source)):
            return fetched(str(source), frame_rate=frame_rate)
        if is_live(str(source)):
            shown = without_password(str(source))
            raise TrovidError(f"{shown}: {NO_END}")
        return _open_path(Path(source), frame_rate, allow_playlist)
    if is_picture(source):
        pictures = as_pictures(source)
        single = pictures.ndim == 3
        return ArrayReader(pictures[None] if single else pictures, frame_rate=frame_rate)
    if not isinstance(source, Iterable):
        raise TypeError(
            "`source` must be a path, a list of image paths, an array or tensor of frames, "
            f"or pictures one by one, but got {type(source).__name__}"
        )
    items = list(source)
    if all(isinstance(item, str | PathLike) for item in items):
        paths = [Path(str(item)) for item in items]
        name = paths[0].resolve().parent.name if paths else ""
        return ImageReader(paths, name=name, frame_rate=frame_rate)
    return ArrayReader([as_picture(item) for item in items], frame_rate=frame_rate)


def _open_path(path: Path, frame_rate: float, allow_playlist: bool) -> VideoReader:
    if not path.exists():
        raise TrovidError(f"{path}: no such file or folder; check the name")
    if path.is_dir():
        inner = path / MOT_FRAMES
        if inner.is_dir() and not any(f.suffix.lower() in SUFFIXES for f in path.iterdir()):
            path = inner
        return ImageReader(images_in(path), name=video_name(path), frame_rate=frame_rate)
    if path.suffix.lower() in SUFFIXES:
        return PictureReader(path, frame_rate=frame_rate)
    return FileReader(path, allow_playlist=allow_playlist)


def as_frames(source: VideoSource, *, frame_rate: float = 0.0) -> Iterator[Frame]:
    """The frames of a source one by one, without asking how many will come.

    Args:
        source: See `open_video`; pictures without an index are numbered as they come.
        frame_rate: Gives such pictures their times (0: each is 0).

    Raises:
        TypeError: If one is no picture.
        ValueError: If one has another shape or type.
    """
    paths = isinstance(source, str | PathLike) or is_picture(source)
    stream = open_video(source, frame_rate=frame_rate) if paths else source
    for index, item in enumerate(stream):
        if isinstance(item, str | PathLike):
            item = read_image(Path(str(item)))
        if not isinstance(item, Frame):
            item = Frame(index, index / frame_rate if frame_rate else 0.0, as_picture(item))
        yield item
