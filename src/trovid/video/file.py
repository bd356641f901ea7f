"""Reader of video files: exact frames, also on variable frame rate and from damaged files."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path

from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from trovid.errors import TrovidError
from trovid.structures import Video
from trovid.video.ahead import Ahead, GivenUp, Stop
from trovid.video.clock import DEFAULT_FRAME_RATE, SteadyClock
from trovid.video.container import Pass, decode, decoding, open_container, video_stream
from trovid.video.damage import (
    demuxer_complains,
    doubtful_frames,
    missing_between,
    steps_with_loss,
)
from trovid.video.early_frames import EarlyFrames, First
from trovid.video.foresight import foreseen
from trovid.video.frame_index import FrameIndex
from trovid.video.reader import Frame, VideoReader
from trovid.video.upright import Upright

VIDEO_NAME = re.compile(
    r".+\.(3gp|avi|flv|gif|m2ts|m4v|mkv|mov|mp4|mpe?g|mts|mxf|ogv|ts|webm|wmv)", re.IGNORECASE
)
"""Names by which files of a folder are taken for videos."""
UNFLAGGED = frozenset(("mjpeg",))
"""Decoders that flag no frame as damaged; told to, they refuse it, so that it counts as lost."""
FRAMES_WORTH_A_SEEK = 16
ASKED_AGAIN = 0.05
"""Seconds after which a thread that waits asks whether to give up."""


class _SeekMissed(Exception):
    """The demuxer did not land where the index says."""


class FileReader(VideoReader):
    """A video file.

    What counts as a frame: every picture that the decoder gives, in order of presentation. When
    `video` is first needed, the file is decoded once without forming the pictures (about twice as
    fast as reading them), which gives the exact number of frames, their times and the places where
    decoding can start. The count is compared with what the container promises; where they differ,
    or a frame or packet is flagged as damaged, the file is decoded in one thread from then on
    (several threads drop the frames before a damage without a word) and `problems` says so. Where
    the container promises nothing, one thread looks at it too.

    Whoever cannot wait for that has it done in a thread (`count_ahead`). Meanwhile `foresee` lets
    him have the frames as the file's packets tell of them, `as_foreseen` says in the end whether it
    is so, and `settle` comes back to the counted ones.

    Args:
        path: The file.
        allow_playlist: Whether it may be a playlist, for which other files are read.

    Attributes:
        path: The file.
        counting: What the decoding that counts the frames has met so far.
        over_black: Whether what is transparent becomes black, and does not show what it hides.

    Raises:
        TrovidError: If no frame can be read.
    """

    def __init__(self, path: Path, *, allow_playlist: bool = False) -> None:
        self.path = path
        self.allow_playlist = allow_playlist
        self.source = str(path)
        self.problems = []
        self.counting = Pass()
        self._ahead: Ahead[FrameIndex] | None = None
        self._early: EarlyFrames | None = None
        self._foreseen: FrameIndex | None = None
        with self._container() as container:
            stream = video_stream(container, path)
            pixel_aspect = stream.sample_aspect_ratio
            self._flags_none = self._strict = stream.codec_context.name in UNFLAGGED
        first = self._first_frame(careful=False) or self._first_frame(careful=True)
        if first is None and self._strict:
            self._strict = False
            first = self._first_frame(careful=False)
        if first is None:
            raise TrovidError(
                f"{path}: no frame can be decoded, it is damaged or cut off; get the file again"
            )
        self._upright = Upright(first, pixel_aspect)
        self.over_black = False

    def _container(self) -> InputContainer:
        return open_container(self.path, allow_playlist=self.allow_playlist)

    @property
    def rotation(self) -> int:
        """Degrees by which the pictures are turned counter-clockwise: 0, 90, 180 or 270."""
        return self._upright.rotation

    @property
    def mirrored(self) -> bool:
        """Whether the pictures are mirrored, top to bottom, before they are turned."""
        return self._upright.mirrored

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an upright frame."""
        return self._upright.size

    @property
    def pixel_aspect(self) -> Fraction | None:
        """Width of an upright frame's pixel by its height; None for square ones."""
        return self._upright.pixel_aspect

    @property
    def video(self) -> Video:
        """Name (the file's stem), exact number of frames, upright size, mean frame rate."""
        height, width = self.size
        times = self._index.times
        rate = self._stated_rate
        if len(times) > 1 and times[-1] > times[0]:
            measured = (len(times) - 1) / (times[-1] - times[0])
            if abs(rate - measured) > 0.01 * measured:
                rate = measured
        return Video(self.path.stem, len(times), height, width, rate)

    @property
    def times(self) -> Sequence[float]:
        """Presentation time of each frame in seconds, as the container states it.

        Where its clock starts again, the times go on, and `problems` says so.
        """
        return self._index.times

    @property
    def clock_end(self) -> float:
        """Seconds at which the file's clock ends to start again; infinity where it does not."""
        return self._index.clock.end

    @property
    def doubtful(self) -> tuple[range, ...]:
        """The frames from a loss on to the next that can be decoded alone, and some before."""
        return self._index.doubtful

    def count_ahead(self, first: First | None = None) -> None:
        """Begins to count the frames in a thread; `video` and all that needs them waits for it.

        Args:
            first: Of so many frames those that will be read at first. Where packets tell of the
                frames, they are decoded before the others are counted, and kept for who reads them.
        """
        if self._ahead is None:
            if first is not None:
                self._early = EarlyFrames(first, lambda: self._told_by_packets, self._read_seeking)
            self._ahead = Ahead(partial(self._count_after, self._early))

    def counted(self, within: float) -> bool:
        """Whether the frames are counted, or cannot be, in so many seconds."""
        return self._ahead is not None and self._ahead.done(within)

    def give_up(self) -> None:
        """Ends the threads of `count_ahead` that are not through, and keeps no frames."""
        if self._early is not None:
            self._early.give_up()
            self._early = None
        if self._ahead is not None and not self._ahead.done(0):
            self._ahead.give_up()
            self._ahead = self._foreseen = None

    def foresee(self) -> bool:
        """Takes the frames that the file's packets tell of, until `settle`; whether they do."""
        self._foreseen = self._told_by_packets
        return self._foreseen is not None

    @property
    def foreseen(self) -> bool:
        """Whether frames are those of `foresee`."""
        return self._foreseen is not None

    def as_foreseen(self) -> bool:
        """Waits for the count; whether the frames are those of `foresee`, or nothing was."""
        if self._foreseen is None:
            return True
        try:
            return self._exact.holds(self._foreseen)
        except (TrovidError, FFmpegError):
            return False

    def settle(self) -> None:
        """From now on the frames are those that were counted."""
        self._foreseen = None

    @cached_property
    def metadata(self) -> dict[str, str]:
        """The container's texts: title, place, device, time and whatever else it holds."""
        with self._container() as container:
            return dict(container.metadata)

    def __iter__(self) -> Iterator[Frame]:
        yield from self._read_counting(range(len(self._index.times)))

    def _read_sorted(self, indices: Sequence[int]) -> Iterator[Frame]:
        early, frames, done = self._early, list[Frame](), 0
        if early is not None and early.are(indices, of=len(self._index.times)):
            self._early, frames = None, early.frames(self._index)
        if frames:
            yield from frames
            return
        if self._index.ticks:
            try:
                for frame in self._read_seeking(self._index, indices):
                    done += 1
                    yield frame
            except _SeekMissed:
                self._index.ticks = array("q")
        yield from self._read_counting(indices[done:])

    def _read_counting(self, indices: Sequence[int]) -> Iterator[Frame]:
        """The frames of ascending `indices`, found by decoding from the start."""
        remaining = iter(indices)
        target = next(remaining, None)
        if target is None:
            return
        reformatter = VideoReformatter()
        with closing(self._decode(Pass(), careful=self._index.careful)) as frames:
            for index, frame in enumerate(frames):
                if index == target:
                    yield self._picture(index, self._index.times[index], frame, reformatter)
                    target = next(remaining, None)
                    if target is None:
                        return
        raise TrovidError(f"{self.source}: frame {target} is gone; the file changed meanwhile")

    def _read_seeking(self, index: FrameIndex, indices: Sequence[int]) -> Iterator[Frame]:
        """The frames of ascending `indices`, found by their times, jumping over what lies between.

        A frame is taken only if its time is the one asked for; where the demuxer lands behind it,
        or the decoder cannot start where the file says it can, _SeekMissed is raised.
        """
        ticks, keys = index.ticks, index.keys
        reformatter = VideoReformatter()
        with self._decoder() as (container, stream):
            stream.thread_type = "AUTO"
            frames = decode(container, stream, Pass())
            position = 0
            for target in indices:
                behind = bisect_right(keys, target)
                key = keys[behind - 1] if behind else 0
                if key > position + FRAMES_WORTH_A_SEEK:
                    try:
                        container.seek(ticks[key], stream=stream)
                    except FFmpegError as error:
                        raise _SeekMissed from error
                    frames = decode(container, stream, Pass())
                for frame in frames:
                    if frame.pts is None or frame.pts > ticks[target]:
                        raise _SeekMissed
                    if frame.pts == ticks[target]:
                        yield self._picture(target, index.times[target], frame, reformatter)
                        position = target + 1
                        break
                else:
                    raise _SeekMissed

    @cached_property
    def _told_by_packets(self) -> FrameIndex | None:
        with self._container() as container:
            found = foreseen(container, video_stream(container, self.path))
        return None if found is None else FrameIndex(*found)

    @property
    def _index(self) -> FrameIndex:
        return self._exact if self._foreseen is None else self._foreseen

    @cached_property
    def _exact(self) -> FrameIndex:
        return self._count(lambda: False) if self._ahead is None else self._ahead.result()

    def _count_after(self, early: EarlyFrames | None, stop: Stop) -> FrameIndex:
        while early is not None and not early.done(ASKED_AGAIN):
            if stop():
                raise GivenUp
        return self._count(stop)

    def _count(self, stop: Stop) -> FrameIndex:
        seen = Pass()
        index = self._scan(seen, stop, careful=False)
        if self._strict and seen.lost_packets > seen.frames:
            self._strict, seen = False, Pass()
            index = self._scan(seen, stop, careful=False)
        complaints = seen.complaints(index.times)
        if not complaints and missing_between(index.times) and self._demuxer_complains():
            seen.damaged = 1
            complaints = seen.complaints(index.times)
        if complaints or not (seen.promised or seen.promised_end):
            careful = Pass()
            alone = self._scan(careful, stop, careful=True)
            careful.damaged = max(careful.damaged, seen.damaged)
            complaints = careful.complaints(alone.times) or complaints
            if complaints or len(alone.times) != len(index.times):
                index, count = alone, len(alone.times)
                marks = [*index.marks, *steps_with_loss(index.times), count]
                index.doubtful = doubtful_frames(marks, index.keys, count)
        if not index.times:
            raise TrovidError(f"{self.source}: its frames are gone; the file changed meanwhile")
        if self._flags_none and not self._strict:
            complaints.append(
                "its decoder finds errors in most pictures; they are as it makes them"
            )
        if index.clock.problem:
            complaints.append(index.clock.problem)
        self.problems += [f"{self.source}: {complaint}" for complaint in complaints]
        return index

    def _demuxer_complains(self) -> bool:
        with self._container() as container:
            number = video_stream(container, self.path).index
        return demuxer_complains(self.path, number, allow_playlist=self.allow_playlist)

    def _scan(self, seen: Pass, stop: Stop, *, careful: bool) -> FrameIndex:
        self.counting = seen
        index = FrameIndex(careful=careful, clock=SteadyClock(self._stated_rate))
        step = 1 / (self._stated_rate or DEFAULT_FRAME_RATE)
        by_time = not careful
        harm = 0
        with closing(self._decode(seen, careful=careful, pictures=False)) as frames:
            for number, frame in enumerate(frames):
                if stop():
                    raise GivenUp
                if seen.harm > harm:
                    harm = seen.harm
                    index.marks.append(number)
                if frame.key_frame:
                    index.keys.append(number)
                if frame.pts is None or (index.ticks and frame.pts <= index.ticks[-1]):
                    by_time = False
                if by_time and frame.pts is not None:
                    index.ticks.append(frame.pts)
                index.times.append(number * step if frame.time is None else index.clock(frame.time))
        if not by_time:
            index.ticks = array("q")
        return index

    @cached_property
    def _stated_rate(self) -> float:
        with self._container() as container:
            return float(video_stream(container, self.path).average_rate or 0)

    def _first_frame(self, *, careful: bool) -> VideoFrame | None:
        with closing(self._decode(Pass(), careful=careful)) as frames:
            return next(frames, None)

    def _decode(self, seen: Pass, *, careful: bool, pictures: bool = True) -> Generator[VideoFrame]:
        with self._decoder() as (container, stream):
            if careful:
                stream.thread_type = "NONE"
                stream.codec_context.thread_count = 1
            else:
                stream.thread_type = "AUTO"
            if not pictures:
                stream.codec_context.options |= {"skip_loop_filter": "all", "skip_idct": "all"}
            yield from decode(container, stream, seen)

    @contextmanager
    def _decoder(self) -> Generator[tuple[InputContainer, VideoStream]]:
        with (
            self._container() as container,
            decoding(video_stream(container, self.path)) as stream,
        ):
            if self._strict:
                stream.codec_context.options |= {"err_detect": "explode"}
            yield container, stream

    def _picture(
        self, index: int, time: float, frame: VideoFrame, reformatter: VideoReformatter
    ) -> Frame:
        try:
            image = self._upright.picture(frame, reformatter, over_black=self.over_black)
        except (FFmpegError, ValueError) as error:
            raise TrovidError(
                f"{self.source}: frame {index} makes no picture ({error}); convert it to H.264"
            ) from error
        return Frame(index, time, image)
