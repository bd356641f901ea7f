"""Readers of images that form a video: a list of files, or an array in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from trovid.data.video_reader import Frame, VideoReader
from trovid.errors import TrovidError
from trovid.structures import Video

SUFFIXES = frozenset(
    (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sorts numbers in names by value.

    Example:
        >>> sorted(["f10.png", "f2.png"], key=natural_key)
        ['f2.png', 'f10.png']
    """
    return [
        (0, int(part)) if part.isdecimal() else (1, part)
        for part in re.split(r"(\d+)", name.lower())
        if part
    ]


def images_in(folder: Path) -> list[Path]:
    """Image files of a folder (by suffix; hidden files and subfolders ignored), natural order.

    Raises:
        TrovidError: If there is none.
    """
    paths = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    if not paths:
        raise TrovidError(
            f"{folder}: the folder holds no images ({', '.join(sorted(SUFFIXES))}); "
            "name a folder of frames or a video file"
        )
    return sorted(paths, key=lambda path: (natural_key(path.name), path.name))


def read_image(path: Path) -> np.ndarray:
    """An image file as uint8 [H, W, 3] RGB, upright by its EXIF orientation, 16 bits scaled to 8.

    Raises:
        TrovidError: If the file is missing or no readable image.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):
                grey = np.asarray(upright).astype(np.int64) >> 8
                return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
            return np.array(upright.convert("RGB"))
    except FileNotFoundError as error:
        raise TrovidError(f"{path}: no such image; check the name") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = str(error).replace(repr(str(path)), "it").rstrip(".")
        raise TrovidError(
            f"{path}: not a readable image ({reason}); replace or remove it"
        ) from error


class ImageReader(VideoReader):
    """A list of image files of one size as a video."""

    def __init__(self, paths: Sequence[Path], *, name: str, frame_rate: float = 0.0) -> None:
        if not paths:
            raise TrovidError("an empty list of images is no video; give at least one")
        self._paths = list(paths)
        self.source = str(self._paths[0].parent)
        self.problems = []
        height, width = read_image(self._paths[0]).shape[:2]
        self._video = Video(name, len(self._paths), height, width, frame_rate)

    @property
    def video(self) -> Video:
        """Name and measures; the size is the first image's, which all others must have."""
        return self._video

    def __iter__(self) -> Iterator[Frame]:
        return self._read_sorted(list(range(len(self._paths))))

    def _read_sorted(self, indices: list[int]) -> Iterator[Frame]:
        for index in indices:
            image = read_image(self._paths[index])
            if image.shape[:2] != (self._video.height, self._video.width):
                raise TrovidError(
                    f"{self._paths[index]}: {image.shape[1]}x{image.shape[0]} pixels among images "
                    f"of {self._video.width}x{self._video.height}; all frames must have one size"
                )
            yield Frame(index, _time(index, self._video), image)


class ArrayReader(VideoReader):
    """An array [T, H, W, 3] of uint8 RGB as a video."""

    def __init__(self, images: np.ndarray, *, frame_rate: float = 0.0) -> None:
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise ValueError(
                "`source` must be a uint8 array of shape [T, H, W, 3], "
                f"but got {images.dtype} {list(images.shape)}"
            )
        if min(images.shape) == 0:
            raise ValueError(f"`source` must hold a frame, but has shape {list(images.shape)}")
        self._images = images
        self.source = "array"
        self.problems = []
        self._video = Video("array", len(images), images.shape[1], images.shape[2], frame_rate)

    @property
    def video(self) -> Video:
        """Name ("array") and measures."""
        return self._video

    def __iter__(self) -> Iterator[Frame]:
        return self._read_sorted(list(range(len(self._images))))

    def _read_sorted(self, indices: list[int]) -> Iterator[Frame]:
        for index in indices:
            yield Frame(index, _time(index, self._video), self._images[index])


def _time(index: int, video: Video) -> float:
    return index / video.frame_rate if video.frame_rate else 0.0
