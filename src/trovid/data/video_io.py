"""Videos in and out: one reader for files, folders of images, lists of images and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from trovid.data.image_reader import ArrayReader, ImageReader, images_in
from trovid.data.video_file import FileReader
from trovid.data.video_reader import Frame, VideoReader
from trovid.data.video_writer import VideoWriter
from trovid.errors import TrovidError

__all__ = ["Frame", "VideoReader", "VideoSource", "VideoWriter", "open_video"]

VideoSource = str | PathLike[str] | Sequence[str | PathLike[str]] | np.ndarray


def open_video(source: VideoSource, *, frame_rate: float = 0.0) -> VideoReader:
    """Opens anything that holds the frames of one video.

    Args:
        source: A video file; a folder of images (in natural order: 2 before 10); a list of image
            files (in the order given); or a uint8 array [T, H, W, 3] in RGB.
        frame_rate: Frames per second of images or arrays, which do not know it (0: unknown, then
            every frame's time is 0). A video file knows its own and ignores this.

    Returns:
        A reader: iterate over it for all frames, or `read` some.

    Raises:
        TrovidError: If there is nothing to read: file missing, empty, damaged or no video.
        TypeError: If `source` is none of the above.
        ValueError: If an array has another shape or type than [T, H, W, 3] uint8.

    Example:
        >>> import numpy as np
        >>> reader = open_video(np.zeros((5, 4, 6, 3), np.uint8), frame_rate=25)
        >>> reader.video.num_frames, reader.video.height, reader.video.width
        (5, 4, 6)
        >>> [frame.time for frame in reader.read([3, 0])]
        [0.12, 0.0]
    """
    if isinstance(source, np.ndarray):
        return ArrayReader(source, frame_rate=frame_rate)
    if isinstance(source, str | PathLike):
        path = Path(source)
        if not path.exists():
            raise TrovidError(f"{path}: no such file or folder; check the name")
        if path.is_dir():
            return ImageReader(images_in(path), name=path.resolve().name, frame_rate=frame_rate)
        return FileReader(path)
    if isinstance(source, Sequence) and all(isinstance(item, str | PathLike) for item in source):
        paths = [Path(item) for item in source]
        name = paths[0].resolve().parent.name if paths else ""
        return ImageReader(paths, name=name, frame_rate=frame_rate)
    raise TypeError(
        "`source` must be a path, a list of image paths or a uint8 array [T, H, W, 3], "
        f"but got {type(source).__name__}"
    )
