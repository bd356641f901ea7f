"""VideoReader: what every source of frames offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Self

import numpy as np

from trovid.errors import OptionError
from trovid.structures import Video


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    Attributes:
        index: Index in the video, from 0.
        time: Presentation time in seconds, as the container states it.
        image: uint8 [height, width, 3], RGB.
    """

    index: int
    time: float
    image: np.ndarray


class VideoReader(ABC):
    """The frames of one video, all in order by iterating or some of them by `read`.

    Iterating holds a few frames at a time, however long the video. Each iteration and each `read`
    is independent of the others, so they may be nested.

    Attributes:
        source: What messages call the video: its path, or "array".
        problems: One line each for what is wrong with a video that can be read nevertheless (cut
            off, damaged frames, lost frames). Complete as soon as `video` was asked for.
    """

    source: str
    problems: list[str]

    @property
    @abstractmethod
    def video(self) -> Video:
        """Name and measures; `num_frames` is exactly the number of frames that iterating yields."""

    @property
    def doubtful(self) -> tuple[range, ...]:
        """Frames that decode but may look wrong, since something of the file is lost."""
        return ()

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """All frames in order of presentation."""

    @abstractmethod
    def _read_sorted(self, indices: Sequence[int]) -> Iterator[Frame]:
        """The frames of `indices`, which are valid, distinct and ascending."""

    @property
    @abstractmethod
    def times(self) -> Sequence[float]:
        """Presentation time of each frame in seconds."""

    def __len__(self) -> int:
        return self.video.num_frames

    def walk(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Some frames one at a time, skipping what lies between where that is quicker.

        Args:
            indices: Indices from 0, distinct and ascending.

        Raises:
            ValueError: If they are not, or one is not in 0..num_frames - 1.
        """
        self._check(indices)
        if any(after <= before for before, after in pairwise(indices)):
            raise ValueError(f"the frames of {self.source} must be named once and in rising order")
        if len(indices) == self.video.num_frames:
            return iter(self)
        return self._read_sorted(indices)

    def read(self, indices: Sequence[int]) -> list[Frame]:
        """Some frames, exactly those that iterating gives, in the order asked for.

        Args:
            indices: Indices from 0; may repeat and come in any order.

        Returns:
            One Frame an index; repeated indices share one.

        Raises:
            OptionError: If an index is not in 0..num_frames - 1.
        """
        wanted = [int(index) for index in indices]
        if not wanted:
            return []
        self._check(wanted)
        frames = {frame.index: frame for frame in self._read_sorted(sorted(set(wanted)))}
        return [frames[index] for index in wanted]

    def _check(self, indices: Sequence[int]) -> None:
        last = self.video.num_frames - 1
        wrong = next((index for index in indices if not 0 <= index <= last), None)
        if wrong is not None:
            raise OptionError(
                f"frames of {self.source} lie in 0..{last}, but one asked for is {wrong}: labels "
                "that ask for it are of another video"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to close: files are open only while frames are taken."""
