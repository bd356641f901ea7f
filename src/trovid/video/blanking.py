"""A video in which a picture that cannot be had is black, in place of an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from trovid.errors import TrovidError
from trovid.structures import Video
from trovid.video.file import FileReader
from trovid.video.images import ImageReader
from trovid.video.reader import Frame, VideoReader


class BlankingReader(VideoReader):
    """Another reader's frames; those that cannot be decoded are black, and `problems` says why.

    Behind the first one of a video file all are black, since what cannot be decoded once is not
    tried again from its beginning; of a folder each picture is tried. What transparency hides is
    black too.

    Args:
        reader: The video.

    Attributes:
        reader: The video.
        unreadable: Indices of the frames that could not be decoded so far.
    """

    def __init__(self, reader: VideoReader) -> None:
        self.reader = reader
        if isinstance(reader, ImageReader | FileReader):
            reader.over_black = True
        self.source = reader.source
        self.problems = reader.problems
        self.unreadable: set[int] = set()

    @property
    def video(self) -> Video:
        """That of the reader."""
        return self.reader.video

    @property
    def times(self) -> Sequence[float]:
        """Those of the reader."""
        return self.reader.times

    @property
    def doubtful(self) -> tuple[range, ...]:
        """Those of the reader."""
        return self.reader.doubtful

    def __iter__(self) -> Iterator[Frame]:
        return self._read_sorted(range(self.video.num_frames))

    def _read_sorted(self, indices: Sequence[int]) -> Iterator[Frame]:
        done = 0
        while done < len(indices):
            try:
                for frame in self.reader.walk(indices[done:]):
                    done += 1
                    yield frame
            except TrovidError as error:
                if str(error) not in self.problems:
                    self.problems.append(str(error))
                lost = indices[done:] if isinstance(self.reader, FileReader) else [indices[done]]
                for index in lost:
                    done += 1
                    yield self._black(index)

    def _black(self, index: int) -> Frame:
        self.unreadable.add(index)
        image = np.zeros((self.video.height, self.video.width, 3), np.uint8)
        return Frame(index, self.times[index], image)
