"""Sound: what is heard in a video file, carried over to a new file beside new pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from trovid.video.container import open_container

PLAYABLE_IN_MP4 = frozenset(("aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"))
PLAIN_RATE = 48_000


class Sound:
    """The sound of a video file, taken in step with pictures that are being written.

    Codecs that MP4 players know are copied as they are, others become AAC. Use `attach` once, then
    `until` with rising times; `VideoWriter` does so.

    Args:
        path: The file.
        allow_playlist: See `FileReader`.
        clock_end: See `FileReader`; what is heard behind it is left out.

    Attributes:
        problem: One sentence where the sound is not carried over to its end, else empty.

    Raises:
        TrovidError: If the file cannot be opened.
    """

    def __init__(
        self, path: Path, *, allow_playlist: bool = False, clock_end: float = math.inf
    ) -> None:
        self.problem = ""
        self._clock_end = clock_end
        self._container = open_container(path, allow_playlist=allow_playlist)
        self._source: AudioStream | None = None
        best = self._container.streams.best("audio")
        if isinstance(best, AudioStream) and best.codec_context is not None and best.rate:
            self._source = best
        self._waiting: tuple[float, Packet] | None = None

    @property
    def present(self) -> bool:
        """Whether the file has sound that can be decoded."""
        return self._source is not None

    def attach(self, container: OutputContainer, start: float) -> None:
        """Adds the stream to a file that is being written.

        Args:
            container: The file, to which no packet was written yet.
            start: Time in the source, in seconds, that becomes 0 in the file.
        """
        assert self._source is not None, "attach needs `present`"
        self._start = start
        self._latest = -math.inf
        copied = self._source.codec_context.codec.canonical_name in PLAYABLE_IN_MP4
        if copied:
            self._target = container.add_stream_from_template(self._source)
            self._packets = self._copied()
        else:
            self._target = container.add_stream("aac", rate=PLAIN_RATE)
            self._target.codec_context.layout = "stereo"
            self._packets = self._encoded()

    def until(self, time: float) -> Iterator[Packet]:
        """The packets before a time of the new file that were not given yet, ready to be muxed."""
        while True:
            try:
                entry = self._waiting or next(self._packets, None)
            except (FFmpegError, ValueError) as error:
                self.problem = f"its sound cannot be read to the end ({error})"
                self._packets = iter(())
                return
            self._waiting = entry
            if entry is None or entry[0] >= time:
                return
            self._waiting = None
            yield entry[1]

    def close(self) -> None:
        """Closes the source."""
        self._container.close()

    def _copied(self) -> Iterator[tuple[float, Packet]]:
        """Time in the new file, and packet, of everything from the start on."""
        last = -math.inf
        for packet in self._container.demux(self._source):
            if packet.pts is None or packet.size == 0 or packet.time_base is None:
                continue
            stated = float(packet.pts * packet.time_base)
            time = stated - self._start
            if self._clock_ends(stated):
                return
            if time < 0 or packet.pts <= last:
                continue
            last = packet.pts
            packet.pts -= round(Fraction(self._start) / packet.time_base)
            packet.dts = packet.pts
            packet.stream = self._target
            yield time, packet

    def _clock_ends(self, time: float) -> bool:
        """Whether the clock has started again by the next sound, which has this time."""
        again = math.isfinite(self._clock_end) and time < self._latest
        self._latest = time
        if again:
            self.problem = (
                f"its sound is left out from {self._clock_end:.2f} s on, where the clock of the "
                "source starts again"
            )
        return again

    def _encoded(self) -> Iterator[tuple[float, Packet]]:
        resampler = AudioResampler(format="fltp", layout="stereo", rate=PLAIN_RATE)
        for frame in self._decoded():
            for piece in resampler.resample(frame):
                yield from self._timed(self._target.encode(piece))
        for piece in resampler.resample(None):
            yield from self._timed(self._target.encode(piece))
        yield from self._timed(self._target.encode(None))

    def _decoded(self) -> Iterator[AudioFrame]:
        for packet in self._container.demux(self._source):
            try:
                frames = packet.decode()
            except FFmpegError:
                continue
            for frame in frames:
                if not isinstance(frame, AudioFrame) or frame.time is None or not frame.time_base:
                    continue
                if self._clock_ends(frame.time):
                    return
                if frame.time < self._start:
                    continue
                frame.pts = round((frame.time - self._start) / frame.time_base)
                yield frame

    @staticmethod
    def _timed(packets: list[Packet]) -> Iterator[tuple[float, Packet]]:
        for packet in packets:
            if packet.pts is not None and packet.time_base is not None:
                yield float(packet.pts * packet.time_base), packet
