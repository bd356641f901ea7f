"""Frames of videos after resizing, read at random: from the disk, or decoded when needed."""

from __future__ import annotations

import hashlib
import itertools
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trovid.datasets.contract import Dataset
from trovid.datasets.video_places import check_length
from trovid.files import replacing
from trovid.storage.hashes import file_digest
from trovid.video.images import images_in, read_image
from trovid.video.opening import VideoReader, open_video
from trovid.video.transforms import FrameTransform

SHARE_OF_DISK = 0.5
log = logging.getLogger("trovid")


class ResizedFrames:
    """The frames of some videos after resizing.

    Images are read and resized when they are asked for. A video file is decoded once and its
    resized frames go to the disk one by one; where they would take more room than there is, they
    are decoded when asked for. Memory holds no more than the frames that were asked for; the
    frames are the same, wherever they come from. The object can be sent to other processes.

    Args:
        dataset: Says where the videos are and how many frames they have.
        names: The videos.
        transform: Resizing.
        cache: Folder of the resized frames, one array a video file, each written under a temporary
            name. Its name depends on the video's name, on the file's size, time, first and last
            MiB, and on the transform.
        room: Bytes that the arrays written now may take; None for half of what is free.
        progress: Called with (videos done, videos in all).

    Raises:
        TrovidError: If a video cannot be read, has fewer frames than its labels say, or cannot be
            written.
    """

    def __init__(
        self,
        dataset: Dataset,
        names: Sequence[str],
        transform: FrameTransform,
        *,
        cache: Path,
        room: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.cache = cache
        self.transform = transform
        self._room = int(SHARE_OF_DISK * shutil.disk_usage(cache).free) if room is None else room
        self._videos: dict[str, _Images | _Stored | _Decoded] = {}
        for done, name in enumerate(names, 1):
            found = self._prepare(dataset.source(name), name)
            if not isinstance(found, _Images):
                check_length(dataset.path(name), len(found), dataset.video(name).num_frames)
            self._videos[name] = found
            if progress:
                progress(done, len(names))
        decoded = sum(isinstance(video, _Decoded) for video in self._videos.values())
        if decoded:
            log.warning(
                "%s has no room for the resized frames of %d of %d videos: they are decoded when "
                "needed, which takes longer",
                cache,
                decoded,
                len(names),
            )

    @property
    def stored(self) -> bool:
        """Whether all frames lie on the disk as they are needed, quick to read."""
        return all(isinstance(video, _Stored) for video in self._videos.values())

    def read(self, name: str, indices: Sequence[int]) -> np.ndarray:
        """Some frames of a video.

        Args:
            name: Name of the video.
            indices: From 0; may repeat and come in any order.

        Returns:
            [N, height, width, 3], as the transform's `resize` gives them.
        """
        return self._videos[name].read(indices)

    def _prepare(self, path: Path | list[Path], name: str) -> _Images | _Stored | _Decoded:
        if isinstance(path, list) or path.is_dir():
            return _Images(path, self.transform)
        stored = _Stored(self.cache / f"{_key(path, name, self.transform)}.npy")
        if stored.is_whole():
            return stored
        reader = open_video(path)
        frames = (self.transform.resize(frame.image) for frame in reader)
        first = next(frames)
        shape = (len(reader), *first.shape)
        size = math.prod(shape) * first.itemsize
        if size > self._room:
            return _Decoded(reader, self.transform)
        head = {
            "descr": np.lib.format.dtype_to_descr(first.dtype),
            "fortran_order": False,
            "shape": shape,
        }
        with replacing(stored.file) as partial, partial.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, head)
            for frame in itertools.chain([first], frames):
                file.write(np.ascontiguousarray(frame).data)
        self._room -= size
        return stored


@dataclass(frozen=True)
class _Stored:
    """An array of frames on the disk."""

    file: Path

    def __len__(self) -> int:
        return len(self._array())

    def _array(self) -> np.ndarray:
        return np.asarray(np.load(self.file, mmap_mode="r"))

    def is_whole(self) -> bool:
        try:
            return self.file.exists() and len(self) > 0
        except (ValueError, EOFError):
            return False

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return self._array()[list(indices)]


@dataclass(frozen=True)
class _Decoded:
    """A video file, whose frames are found by the reader's index."""

    reader: VideoReader
    transform: FrameTransform

    def __len__(self) -> int:
        return len(self.reader)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        frames = self.reader.read(indices)
        return np.stack([self.transform.resize(frame.image) for frame in frames])


@dataclass(frozen=True)
class _Images:
    """A folder of images, or a list of them."""

    source: Path | list[Path]
    transform: FrameTransform

    def read(self, indices: Sequence[int]) -> np.ndarray:
        files = self.source if isinstance(self.source, list) else images_in(self.source)
        path = files[0].parent if isinstance(self.source, list) else self.source
        check_length(path, len(files), max(indices) + 1)
        return np.stack([self.transform.resize(read_image(files[i])) for i in indices])


def _key(path: Path, name: str, transform: FrameTransform) -> str:
    """Another one for each other content of the file, however it is called."""
    contents = file_digest(path)
    what = (name, path.stat().st_mtime_ns, contents, transform)
    return hashlib.sha256(repr(what).encode("utf-8", "surrogateescape")).hexdigest()[:32]
