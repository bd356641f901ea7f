"""Frames of a video file that are decoded before anybody reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from trovid.video.ahead import Ahead, GivenUp, Stop
from trovid.video.frame_index import FrameIndex
from trovid.video.reader import Frame

First = Callable[[int], Sequence[int]]
"""Of so many frames those that will be read at first."""


class EarlyFrames:
    """The frames that will be read at first, decoded in a thread by what packets tell of them.

    Args:
        first: Which these are.
        foresee: What the packets tell; None where they do not.
        read: The frames of ascending indices by that.
    """

    def __init__(
        self,
        first: First,
        foresee: Callable[[], FrameIndex | None],
        read: Callable[[FrameIndex, Sequence[int]], Iterable[Frame]],
    ) -> None:
        self._first, self._foresee, self._read = first, foresee, read
        self._ahead = Ahead(self._decode, wanted_soon=True)

    def done(self, within: float) -> bool:
        """Whether they are decoded, or cannot be, in so many seconds."""
        return self._ahead.done(within)

    def give_up(self) -> None:
        """Ends the thread, where it is not through."""
        self._ahead.give_up()

    def are(self, indices: Sequence[int], *, of: int) -> bool:
        """Whether they are the frames of these ascending indices, of so many."""
        return sorted({*self._first(of)}) == [*indices]

    def frames(self, index: FrameIndex) -> list[Frame]:
        """The frames, waited for; none where decoding failed, or the file's index is another."""
        if self._ahead.failed():
            return []
        foreseen, frames = self._ahead.result()
        return frames if index.holds(foreseen) else []

    def _decode(self, stop: Stop) -> tuple[FrameIndex, list[Frame]]:
        index, frames = self._foresee(), list[Frame]()
        if index is None:
            return FrameIndex(), frames
        for frame in self._read(index, sorted({*self._first(len(index.times))})):
            if stop():
                raise GivenUp
            frames.append(frame)
        return index, frames
