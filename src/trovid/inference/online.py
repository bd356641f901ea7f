"""Support while a video is still coming in: past frames, a few future ones, bounded in number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from trovid.detectors.faster_rcnn.support import Support
from trovid.structures.support_sampling import SupportSampling
from trovid.video.opening import Frame


@dataclass(frozen=True)
class OnlineSampling:
    """Which frames support a target frame when only `lookahead` frames after it are known.

    "uniform" is an evenly thinned memory of everything that came so far. "consecutive" and
    "stride" lie around the target as offline, except that what would lie further ahead than the
    lookahead lies behind it instead. With a lookahead that covers the offline support frames, the
    support frames are those of offline.

    Attributes:
        sampling: The support frames asked for.
        lookahead: Frames after the target that may serve.
    """

    sampling: SupportSampling
    lookahead: int = 0

    def indices(self, target: int, newest: int) -> list[int]:
        """The support frames of a target, the target itself maybe among them.

        Args:
            target: Index of the target frame.
            newest: Index of the last frame known: target + lookahead, or less where the video ends.
        """
        if not self.sampling.depends_on_target:
            return evenly_thinned(newest + 1, self.sampling.count)
        step, count = self.sampling.step, self.sampling.count
        ahead = min(count - count // 2, self.lookahead // step)
        offsets = [*range(ahead - count, 0), *range(1, ahead + 1)]
        indices = [min(max(target + step * o, 0), newest) for o in offsets]
        return indices if target or ahead else []

    def oldest(self, target: int, newest: int) -> int:
        """The first frame that this target or a later one can ask for."""
        return min(self.indices(target, newest), default=target)


def evenly_thinned(num_frames: int, count: int) -> list[int]:
    """`count` of the first `num_frames` frames, so that each was also chosen from fewer frames.

    Neighbours lie `s` or `2 s` frames apart, the wider gaps at the beginning, where `s` doubles as
    the video goes on. A frame once left out is never asked for again, so a bounded memory can hold
    the choice while the video comes in.

    Example:
        >>> evenly_thinned(4, 4), evenly_thinned(5, 4), evenly_thinned(11, 4)
        ([0, 1, 2, 3], [0, 2, 3, 4], [0, 4, 8, 10])
    """
    if count < 1:
        return []
    spacing = 1
    while (num_frames - 1) // spacing + 1 > 2 * count:
        spacing *= 2
    places = list(range(0, num_frames, spacing))
    surplus = len(places) - count
    if surplus <= 0:
        return places
    return places[: 2 * surplus : 2] + places[2 * surplus :]


class _Memory:
    """The frames that can still be asked for, encoded when they first are."""

    def __init__(self, encode: Callable[[Sequence[Frame]], Support]) -> None:
        self._encode = encode
        self._frames: dict[int, Frame] = {}
        self._banks: dict[int, Support] = {}
        self._last: tuple[list[int], Support] | None = None

    def __len__(self) -> int:
        return len(self._frames.keys() | self._banks.keys())

    def add(self, frame: Frame) -> None:
        self._frames[frame.index] = frame

    def keep(self, wanted: Callable[[int], bool]) -> None:
        for held in (self._frames, self._banks):
            for index in [i for i in held if not wanted(i)]:
                del held[index]

    def bank(self, indices: list[int]) -> Support | None:
        if not indices:
            return None
        if self._last is None or self._last[0] != indices:
            for index in set(indices) - self._banks.keys():
                self._banks[index] = self._encode([self._frames.pop(index)])
            self._last = (indices, Support.cat([self._banks[i] for i in indices]))
        return self._last[1]


def online_support(
    frames: Iterable[Frame],
    sampling: OnlineSampling,
    encode: Callable[[Sequence[Frame]], Support],
    *,
    targets: Container[int] | None = None,
    on_memory: Callable[[int], None] | None = None,
) -> Iterator[tuple[Frame, Support | None]]:
    """Each target frame with its support bank, as soon as its lookahead has come in.

    Args:
        frames: The video, in order, indices from 0 without a gap.
        sampling: Which frames support which.
        encode: Makes the bank of some frames.
        targets: Indices of the target frames; None for all.
        on_memory: Is told after each frame how many frames are held as possible support.
    """
    waiting: deque[Frame] = deque()
    memory = _Memory(encode)

    def ready(newest: int, ended: bool) -> Iterator[tuple[Frame, Support | None]]:
        while waiting and (ended or waiting[0].index + sampling.lookahead <= newest):
            frame = waiting.popleft()
            if targets is None or frame.index in targets:
                yield frame, memory.bank(sampling.indices(frame.index, newest))

    newest = -1
    for frame in frames:
        newest = frame.index
        waiting.append(frame)
        memory.add(frame)
        target = waiting[0].index
        if sampling.sampling.depends_on_target:
            oldest = min(sampling.oldest(target, newest), target)
            memory.keep(lambda index, oldest=oldest: index >= oldest)
        else:
            kept = set(sampling.indices(target, newest))
            memory.keep(kept.__contains__)
        if on_memory is not None:
            on_memory(len(memory))
        yield from ready(newest, ended=False)
    yield from ready(newest, ended=True)
