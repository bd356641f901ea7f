"""One video while it is run: its target frames in turn, each with its Support.

Frames are decoded ahead, and may be looked at side by side; both are jobs whose results are taken
in turn (`in_turn`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from itertools import chain, repeat
from os import PathLike
from threading import Barrier
from typing import Any, NamedTuple, TypeVar

import torch

from trovid.detectors.contract import Support
from trovid.errors import OptionError
from trovid.inference.target_frames import TIMELESS, target_frames
from trovid.structures import DetectOptions, SupportSampling
from trovid.tracking import Tracker
from trovid.video.images import ArrayReader
from trovid.video.live import LiveStream, is_live
from trovid.video.opening import Frame, VideoReader, as_frames, open_video

ENDLESS = range(2**62)
DECODED_AHEAD = 4
"""Target frames that may wait for the detector; they are decoded in a thread of their own."""
MOST_LANES = 4

Item = TypeVar("Item")
_END: Any = object()


class Target(NamedTuple):
    """A target frame that is to be looked at.

    Attributes:
        frame: The frame.
        support: The Support of its video; None for none.
        found: What was found in it already; None where the detector has still to look.
        tracker: Remembers the objects of its video; None where no identities are wanted.
    """

    frame: Frame
    support: Any = None
    found: Any = None
    tracker: Tracker | None = None

    def looked_at(self, look: Callable[[Target], Any]) -> Target:
        """With what was found, by `look` where nothing was found in it before."""
        return self if self.found is not None else self._replace(found=look(self))

    def identified(self, found: Any) -> Any:
        """What was found, with identities where they are wanted; to be called once a frame."""
        return found if self.tracker is None else self.tracker.update(found)


class VideoSession(Iterator[Target]):
    """Goes once through a video and holds its Support, whose size is bounded.

    Offline the whole video is known: support frames are read from it when a target frame first
    asks for them. Online the frames are taken as they come, and a target frame is given out as
    soon as its lookahead has come in. In both cases one schedule (`SupportSampling`) says which
    frames support which; each is encoded once, when it is first asked for, and goes when no later
    target frame can ask for it. The support frames of "uniform" offline are those of every target
    frame: they are encoded together.

    Target frames do not depend on what was found in others, apart from identities: these are given
    in the order of the frames (`Target.identified`), so that several frames may be looked at at
    once. A session that is not taken to its end must be closed, for a thread decodes ahead of it.

    Args:
        source: The video, see `trovid.video.open_video`; with `online` also an iterable of frames
            or pictures without end.
        encode: Makes the Support of some frames of the video.
        options: Resolved; its `support` chooses the support frames.
        frames: Indices of the target frames in rising order; None for those of the options' time
            and stride.
        support: Serves every target frame in place of the video's own support frames.
        encoded: All support frames that the options choose, where they are encoded already.
        single_frames: Whether there are no support frames.
        tracker: Remembers the objects of the video; None where no identities are wanted.
        frame_rate: Frames per second of pictures, which do not know it.

    Raises:
        OptionError: By the first frame, if no frame lies in the time asked for.
    """

    def __init__(
        self,
        source: Any,
        *,
        encode: Callable[[Sequence[Frame]], Support],
        options: DetectOptions,
        frames: Sequence[int] | None = None,
        support: Support | None = None,
        encoded: Support | None = None,
        single_frames: bool = False,
        tracker: Tracker | None = None,
        frame_rate: float = 0.0,
    ) -> None:
        assert options.support is not None
        sampling = SupportSampling.parse(options.support)
        self._sampling = None if support is not None or single_frames else sampling
        if not sampling.count:
            self._sampling = None
        self._encode = encode
        self._options = options
        self._lookahead = options.lookahead if options.online else None
        self._fixed = not options.online and not sampling.depends_on_target
        self._read: Callable[[list[int]], list[Frame]] = self._from_memory
        self._given = encoded
        self._pictures: dict[int, Frame] = {}
        self._encoded: dict[int, Support] = {}
        self._indices: list[int] = []
        self._support = support
        self._tracker = tracker
        self._frame_rate = frame_rate
        self._turns = self._turns_of(source, frames)

    @property
    def held(self) -> int:
        """Number of frames that are held as possible support frames."""
        return len(self._pictures.keys() | self._encoded.keys())

    def close(self) -> None:
        """Lets go of the video: no target frame comes after."""
        self._turns.close()

    def __next__(self) -> Target:
        frame, known = next(self._turns)
        return Target(frame, self._support_of(frame.index, known), tracker=self._tracker)

    def _turns_of(self, source: Any, frames: Sequence[int] | None) -> Generator[tuple[Frame, int]]:
        """Each target frame with the number of frames that are known by then."""
        online = self._options.online
        named = isinstance(source, str | PathLike)
        if online and named and is_live(str(source)):
            source = LiveStream(str(source))
        elif not isinstance(source, VideoReader) and (named or not online):
            source = open_video(source, frame_rate=self._frame_rate)
        if isinstance(source, VideoReader):
            if frames is None and _in_part(self._options):
                frames = target_frames(source, self._options)
            if not (online and self._sampling):
                yield from self._of_a_whole(source, frames)
                return
        yield from self._as_they_come(source, frames)

    def _of_a_whole(
        self, reader: VideoReader, frames: Sequence[int] | None
    ) -> Generator[tuple[Frame, int]]:
        known, self._read = len(reader), reader.read
        wanted = reader if frames is None else reader.walk(frames)
        for frame in wanted if isinstance(reader, ArrayReader) else ahead(wanted, DECODED_AHEAD):
            self._forget(frame.index, known)
            yield frame, known

    def _as_they_come(
        self, source: Iterable[Any], frames: Sequence[int] | None
    ) -> Generator[tuple[Frame, int]]:
        end = None
        if frames is None:
            if self._options.start:
                raise OptionError("`start` needs a video; a stream starts when it is opened")
            frames, end = ENDLESS[:: self._options.stride], self._options.end
        wanted = frames if isinstance(frames, range) else frozenset(frames)
        lookahead = self._options.lookahead if self._sampling else 0
        waiting: deque[Frame] = deque()
        known = 0
        began: float | None = None
        for frame in as_frames(source, frame_rate=self._frame_rate):
            began = frame.time if began is None else began
            if end is not None and frame.index and not frame.time:
                raise OptionError(TIMELESS.format("pictures"))
            if end is not None and frame.time - began >= end:
                break
            known = frame.index + 1
            waiting.append(frame)
            if self._sampling is not None:
                self._pictures[frame.index] = frame
                self._forget(waiting[0].index, known)
            while waiting and waiting[0].index + lookahead < known:
                target = waiting.popleft()
                if target.index in wanted:
                    yield target, known
        for target in waiting:
            if target.index in wanted:
                yield target, known

    def _forget(self, target: int, known: int) -> None:
        """Lets go of what neither this target frame nor a later one can ask for."""
        if self._sampling is None or self._fixed:
            return
        wanted = self._sampling.still_wanted(known, target, lookahead=self._lookahead)
        for held in (self._pictures, self._encoded):
            for index in [index for index in held if index not in wanted]:
                del held[index]

    def _support_of(self, target: int, known: int) -> Support | None:
        if self._sampling is None:
            return self._support
        if not (self._fixed and self._indices):
            indices = self._sampling.indices(known, target, lookahead=self._lookahead)
            if not indices:
                return None
            if indices != self._indices:
                self._support = self._encoded_frames(indices)
                self._indices = indices
        assert self._support is not None
        alone = known == 1 and not self._options.online  # a picture supports itself, as in training
        if alone or self._options.target_among_support or target not in self._indices:
            return self._support
        return self._support.without(target)

    def _encoded_frames(self, indices: list[int]) -> Support:
        if self._given is not None:
            places = {index: place for place, index in enumerate(self._given.frame_indices)}
            return self._given.select([places[index] for index in indices])
        if self._fixed:
            return self._encode(self._read(indices))
        for frame in self._read(sorted(set(indices) - self._encoded.keys())):
            self._encoded[frame.index] = self._encode([frame])
        parts = [self._encoded[index] for index in indices]
        return parts[0].cat(parts)

    def _from_memory(self, indices: list[int]) -> list[Frame]:
        return [self._pictures.pop(index) for index in indices]


def _in_part(options: DetectOptions) -> bool:
    return bool(options.start or options.stride > 1 or options.end is not None)


def in_lanes(
    targets: Iterator[Target] | Generator[Target], look: Callable[[Target], Any], lanes: int
) -> Generator[Target]:
    """The same targets in the same order, with what was found in them, side by side.

    One frame on all cores leaves most of them waiting: choices among boxes run on one, small maps
    are not worth dividing. Two frames on one core each take 0.6 to 0.75 of the time of one after
    the other on two (detectors of 0.02 to 0.2 s a frame, 2 cores); for large pictures, whose
    convolutions divide well, it is not worth the memory.

    Targets are taken where this generator is; up to `lanes` + 1 of them ahead. What goes wrong
    comes where it would have come. Closing the generator closes the targets.

    Args:
        targets: Of one video, whose frames do not depend on what was found in others.
        look: Finds what is in a target frame; called in several threads, each of which computes
            with its share of torch's threads.
        lanes: How many are looked at at once.
    """
    with closing(targets):  # ty: ignore[invalid-argument-type]
        first = next(targets, None)
        if first is None:
            return
        failed: Exception | None = None
        try:
            second = next(targets, None)
        except Exception as error:
            second, failed = None, error
        if second is None:
            yield first.looked_at(look)
            if failed is not None:
                raise failed
            return
        pool = ThreadPoolExecutor(lanes, thread_name_prefix="trovid-lane")
        share_threads(pool, lanes, torch.get_num_threads())
        every = chain([first, second], targets)
        yield from in_turn((partial(target.looked_at, look) for target in every), lanes, pool)


def ahead(items: Iterable[Item], count: int) -> Generator[Item]:
    """The same items in the same order, up to `count` of them made before they are asked for.

    An error comes where it would have come. Closing the generator ends the thread.

    Args:
        items: Are taken in a thread of their own; closed in the end if they are a generator.
        count: Items that wait at most.

    Example:
        >>> list(ahead(range(4), 2))
        [0, 1, 2, 3]
    """
    iterator = iter(items)
    pool = ThreadPoolExecutor(1, thread_name_prefix="trovid-ahead")
    try:
        with closing(in_turn(repeat(lambda: next(iterator, _END)), count, pool)) as made:
            for item in made:
                if item is _END:
                    return
                yield item
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


def in_turn(
    jobs: Iterator[Callable[[], Item]], count: int, pool: ThreadPoolExecutor
) -> Generator[Item]:
    """What jobs give, in their order; up to `count` more are under way while one's is used.

    An error comes where it would have come, that of a job or of taking one. In the end, also of a
    generator that is closed early, no thread of the pool is left.
    """
    waiting: deque[Future[Item]] = deque()
    failed: Exception | None = None
    more = True
    with pool:
        try:
            while more or waiting:
                while more and len(waiting) <= count:
                    try:
                        waiting.append(pool.submit(next(jobs)))
                    except StopIteration:
                        more = False
                    except Exception as error:
                        more, failed = False, error
                if waiting:
                    yield waiting.popleft().result()
            if failed is not None:
                raise failed
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)  # a signal may interrupt this, but no join: see `Behind`


def lane_threads(threads: int, lanes: int) -> int:
    """Of so many of torch's threads those that each lane computes with."""
    return max(1, threads // lanes)


def share_threads(pool: ThreadPoolExecutor, lanes: int, threads: int) -> None:
    """Lets each thread of a pool compute with its share of torch's threads, others as before."""
    together = Barrier(lanes)

    def begin() -> None:
        torch.get_num_threads()  # a thread's first call takes over what was set last anywhere
        torch.set_num_threads(lane_threads(threads, lanes))
        together.wait()

    for begun in [pool.submit(begin) for _ in range(lanes)]:
        begun.result()
    torch.set_num_threads(threads)  # what threads to come begin with is one number for all
