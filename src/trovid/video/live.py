"""Live: frames that come in while they are wanted, from a camera or a stream address."""

from __future__ import annotations

import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from fractions import Fraction
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from trovid.errors import TrovidError, without_password
from trovid.structures import Video
from trovid.video.clock import SteadyClock
from trovid.video.container import decoding
from trovid.video.reader import Frame
from trovid.video.upright import Upright

WEBCAM = re.compile(r"webcam(?::(\d+))?")
ADDRESS = re.compile(r"[a-z][a-z0-9+]+://.+", re.IGNORECASE)
NO_END = "a stream has no end to look ahead to: record it and name the file, or give `online`"
POLL_SECONDS = 0.1
WAITING_FRAMES = 4

_Item = Video | tuple[Frame, float] | TrovidError | None


def is_live(word: str) -> bool:
    """Whether a word names a camera (webcam, webcam:1) or a stream (rtsp://..., http://...).

    Example:
        >>> [is_live(word) for word in ("webcam", "webcam:1", "rtsp://host/a", "webcam.mp4")]
        [True, True, True, False]
    """
    return bool(WEBCAM.fullmatch(word) or ADDRESS.fullmatch(word))


class LiveStream:
    """The frames of a camera or a stream, once, in order, as they come.

    Reading happens in a thread of its own, so that waiting for a frame can be ended. A few frames
    wait for their reader; then the sender has to wait, or drops frames.

    Args:
        address: See `is_live`.
        stop: Is asked while waiting whether to give up.
        patience: Seconds without a frame after which the stream counts as broken.

    Attributes:
        source: The address, without who asks for it.
        problems: What was wrong with the stream, one line each.
        video: Name and measures; the number of frames is 0, as it is not known.
        pixel_aspect: Width of a frame's pixel by its height; None for square ones.
        arrived: For frames not asked for yet when they came in (`time.monotonic`).

    Raises:
        TrovidError: If it cannot be opened.
    """

    def __init__(
        self, address: str, *, stop: Callable[[], bool] = lambda: False, patience: float = 10.0
    ) -> None:
        self.source = without_password(address)
        self._address = address
        self.problems: list[str] = []
        self.arrived: dict[int, float] = {}
        self.pixel_aspect: Fraction | None = None
        self._stop = stop
        self._patience = patience
        self._closed = threading.Event()
        self._items: queue.Queue[_Item] = queue.Queue(WAITING_FRAMES)
        threading.Thread(target=self._receive, daemon=True).start()
        first = self._take()
        if isinstance(first, TrovidError):
            raise first
        if not isinstance(first, Video):
            raise TrovidError(f"{self.source}: stopped before the first frame came")
        self.video = first

    def __iter__(self) -> Iterator[Frame]:
        try:
            while (item := self._take()) is not None:
                if isinstance(item, TrovidError):
                    self.problems.append(str(item))
                    return
                assert isinstance(item, tuple)
                frame, self.arrived[item[0].index] = item
                yield frame
        finally:
            self.close()

    def close(self) -> None:
        """Ends the reading."""
        self._closed.set()

    def _take(self) -> _Item:
        while not self._stop():
            with suppress(queue.Empty):
                return self._items.get(timeout=POLL_SECONDS)
        return None

    def _put(self, item: _Item) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._items.put(item, timeout=POLL_SECONDS)
                return

    def _receive(self) -> None:
        count, reformatter = 0, VideoReformatter()
        upright: Upright | None = None
        clock = SteadyClock(0.0)
        try:
            with self._open() as container:
                stream = next(iter(container.streams.video), None)
                if stream is None:
                    self._put(TrovidError(f"{self.source}: sends no video; name another stream"))
                    return
                with closing(_decoded(container, stream)) as frames:
                    for frame in frames:
                        if self._closed.is_set():
                            return
                        if upright is None:
                            upright = Upright(frame, stream.sample_aspect_ratio)
                            self.pixel_aspect = upright.pixel_aspect
                            rate = float(stream.average_rate or stream.guessed_rate or 0)
                            rate = rate if rate < 1000 else 0.0
                            clock = SteadyClock(rate)
                            name = stream_name(self.source)
                            height, width = upright.size
                            self._put(Video(name, 0, height, width, rate))
                        image = upright.picture(frame, reformatter)
                        now = time.monotonic()
                        stamp = now if frame.time is None else clock(frame.time)
                        if clock.restart == count:
                            self.problems.append(f"{self.source}: {clock.problem}")
                        self._put((Frame(count, stamp, image), now))
                        count += 1
            self._put(None if count else TrovidError(f"{self.source}: ended without a frame"))
        except (FFmpegError, OSError) as error:
            reason = error.strerror or type(error).__name__
            if count:
                self._put(
                    TrovidError(f"{self.source}: broke off after frame {count - 1}: {reason}")
                )
            else:
                self._put(TrovidError(f"{self.source}: cannot be opened ({reason}); check it"))

    def _open(self) -> InputContainer:
        camera = WEBCAM.fullmatch(self._address)
        if camera is None:
            return av.open(self._address, timeout=self._patience, metadata_errors="replace")
        number = camera[1] or "0"
        if sys.platform.startswith("linux"):
            return av.open(f"/dev/video{number}", format="v4l2")
        if sys.platform == "darwin":
            return av.open(number, format="avfoundation")
        return av.open(f"video={number}", format="dshow")


def _decoded(container: InputContainer, stream: VideoStream) -> Generator[VideoFrame]:
    """All frames, also those that the decoder still holds where the stream breaks off."""
    with decoding(stream):
        try:
            for packet in container.demux(stream):
                with suppress(InvalidDataError):
                    yield from (f for f in packet.decode() if isinstance(f, VideoFrame))
        except (FFmpegError, OSError):
            with suppress(FFmpegError):
                yield from stream.codec_context.decode(None)
            raise


def stream_name(address: str) -> str:
    """A name for files from an address.

    Example:
        >>> stream_name("rtsp://host:554/front/door.sdp"), stream_name("webcam:1")
        ('door', 'webcam-1')
    """
    if WEBCAM.fullmatch(address):
        return address.replace(":", "-")
    parts = urlsplit(address)
    stem = PurePosixPath(parts.path).stem or parts.hostname or "stream"
    return re.sub(r"[^\w.-]", "_", stem)
