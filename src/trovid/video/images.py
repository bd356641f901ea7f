"""Readers of images that form a video: a list of files, or an array in memory."""

from __future__ import annotations

import re
import struct
import threading
import warnings
import zlib
from abc import abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from trovid.errors import TrovidError
from trovid.structures import Video
from trovid.video.reader import Frame, VideoReader

ENDINGS = ("avif", "bmp", "jfif", "jpeg", "jpg", "pgm", "png", "ppm", "tif", "tiff", "webp")
SUFFIXES = frozenset(f".{ending}" for ending in ENDINGS)
MOT_FRAMES = "img1"
"""The folder of a MOT Challenge sequence that its frames lie in."""
EXIF_ORIENTATION = 0x0112
QUARTER_TURNED = frozenset((5, 6, 7, 8))
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
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
    try:
        inside = list(folder.iterdir())
    except OSError as error:
        raise TrovidError(f"{folder}: cannot be read ({error.strerror}); check it") from error
    paths = [
        path for path in inside if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    if not paths:
        raise TrovidError(
            f"{folder}: the folder holds no images ({', '.join(sorted(SUFFIXES))}); "
            "name a folder of frames or a video file"
        )
    return sorted(paths, key=lambda path: (natural_key(path.name), path.name))


def read_image(path: Path, *, over_black: bool = False) -> np.ndarray:
    """An image file as uint8 [H, W, 3] RGB, upright by its EXIF orientation, 16 bits scaled to 8.

    Args:
        path: The file.
        over_black: Whether what is transparent becomes black; by default transparency is passed
            over, and the colours that it hides are seen.

    Raises:
        TrovidError: If the file is missing or no readable image.
    """
    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):
            grey = np.asarray(upright).astype(np.int64) >> 8
            return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        if over_black and upright.has_transparency_data:
            black = Image.new("RGBA", upright.size, (0, 0, 0, 255))
            upright = Image.alpha_composite(black, upright.convert("RGBA"))
        return np.array(upright.convert("RGB"))


def pictures_in(path: Path) -> int:
    """How many pictures an image file holds: more than one where it is animated, or has pages.

    Raises:
        TrovidError: If the file is missing or no image.
    """
    with _opened(path) as image:
        return getattr(image, "n_frames", 1)


def video_name(folder: Path) -> str:
    """What the video in a folder of frames is called: a MOT sequence by the folder above `img1`.

    Example:
        >>> video_name(Path("/data/MOT17-02-FRCNN/img1")), video_name(Path("/data/frames"))
        ('MOT17-02-FRCNN', 'frames')
    """
    whole = folder.resolve()
    return whole.parent.name if whole.name == MOT_FRAMES and whole.parent.name else whole.name


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of an image file as `read_image` gives it, from its head alone.

    Raises:
        TrovidError: If the file is missing or no image.
    """
    with _opened(path) as image:
        width, height = image.size
        # Pillow turns the size of a TIFF itself, and decodes a whole PNG in search of EXIF data.
        headed = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
        turned = headed and image.getexif().get(EXIF_ORIENTATION, 1) in QUARTER_TURNED
    return (width, height) if turned else (height, width)


class _Silence:
    """No warnings while a picture is open in any thread; Python's own way is for one alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.close()


_silence = _Silence()


@contextmanager
def _opened(path: Path) -> Generator[Image.Image]:
    try:
        with _silence, Image.open(path) as image:
            yield image
    except FileNotFoundError as error:
        raise TrovidError(f"{path}: no such image; check the name") from error
    except UNREADABLE as error:
        reason = str(error).replace(repr(str(path)), "it").rstrip(".")
        if isinstance(error, UnidentifiedImageError):
            reason = "its beginning is that of no image"
        raise TrovidError(
            f"{path}: not a readable image ({reason}); replace or remove it"
        ) from error


class _StillsReader(VideoReader):
    """Pictures without times of their own: the frame rate gives them."""

    def __init__(self, video: Video, source: str) -> None:
        self._video = video
        self.source = source
        self.problems = []

    @property
    def video(self) -> Video:
        """Name and measures."""
        return self._video

    @property
    def times(self) -> list[float]:
        """Index / frame rate; 0 where that is unknown."""
        rate = self._video.frame_rate
        return [index / rate if rate else 0.0 for index in range(self._video.num_frames)]

    def __iter__(self) -> Iterator[Frame]:
        return self._read_sorted(range(self._video.num_frames))

    def _read_sorted(self, indices: Sequence[int]) -> Iterator[Frame]:
        rate = self._video.frame_rate
        for index in indices:
            yield Frame(index, index / rate if rate else 0.0, self._picture(index))

    @abstractmethod
    def _picture(self, index: int) -> np.ndarray:
        """uint8 [height, width, 3]."""


class ImageReader(_StillsReader):
    """A list of image files of one size as a video.

    Attributes:
        paths: The files in order.
        over_black: See `read_image`; False.

    Raises:
        TrovidError: If there is none, one is no image, or their sizes differ.
    """

    def __init__(self, paths: Sequence[Path], *, name: str, frame_rate: float = 0.0) -> None:
        if not paths:
            raise TrovidError("an empty list of images is no video; give at least one")
        self.paths = list(paths)
        self.over_black = False
        height, width = read_size(self.paths[0])
        for path in self.paths:
            _check_size(path, read_size(path), (height, width))
        video = Video(name, len(self.paths), height, width, frame_rate)
        super().__init__(video, str(self.paths[0].parent))

    def _picture(self, index: int) -> np.ndarray:
        path, video = self.paths[index], self._video
        image = read_image(path, over_black=self.over_black)
        _check_size(path, image.shape[:2], (video.height, video.width))
        return image


class PictureReader(ImageReader):
    """One image file as a video of one frame; of one that holds several pictures the first.

    Raises:
        TrovidError: If it is no image.
    """

    def __init__(self, path: Path, *, frame_rate: float = 0.0) -> None:
        super().__init__([path], name=path.stem, frame_rate=frame_rate)
        self.source = str(path)
        count = pictures_in(path)
        if count > 1:
            self.problems.append(
                f"{path}: holds {count} pictures, of which the first is taken; convert it to a "
                "video"
            )


def _check_size(path: Path, size: tuple[int, ...], wanted: tuple[int, int]) -> None:
    if size != wanted:
        raise TrovidError(
            f"{path}: {size[1]}x{size[0]} pixels among images of {wanted[1]}x{wanted[0]}; "
            "all frames must have one size; name pictures that form no video one by one, or by a "
            f"pattern in quotes ('{path.with_name('*' + path.suffix)}')"
        )


class ArrayReader(_StillsReader):
    """Pictures in memory as a video: uint8 [T, H, W, 3] RGB, or a list of [H, W, 3]."""

    def __init__(
        self, images: np.ndarray | Sequence[np.ndarray], *, frame_rate: float = 0.0
    ) -> None:
        if not len(images):
            raise ValueError("`source` must hold a frame, but has none")
        for index, image in enumerate(images):
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                raise ValueError(
                    "`source` must hold uint8 images [H, W, 3] in RGB, "
                    f"but image {index} is {image.dtype} {list(image.shape)}"
                )
            if image.shape != images[0].shape:
                raise ValueError(
                    f"`source` must hold images of one size, but image {index} is "
                    f"{list(image.shape)} among {list(images[0].shape)}"
                )
        self._images = images
        height, width = images[0].shape[:2]
        super().__init__(Video("array", len(images), height, width, frame_rate), "array")

    def _picture(self, index: int) -> np.ndarray:
        return self._images[index]
