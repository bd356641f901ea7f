"""Container: a video file opened, its pictures decoded, what is wrong with it noted."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from trovid.errors import TrovidError
from trovid.video.damage import missing_between, usual_step
from trovid.video.protocols import open_file

TEXT_FORMATS = frozenset(("adf", "bin", "idf", "tty", "xbin"))
SHORTEST_LOSS = 0.5
NO_PICTURE = 16
"""Bytes of an AVI's slot that may hold no picture (MPEG-4: a header that says "not coded")."""
LONGEST_TAIL = 0.1
"""Share of a whole file's bytes that may lie behind its last picture (an index, say)."""


@dataclass
class Pass:
    """What one run of the decoder met on its way.

    Attributes:
        frames: Frames that decoded.
        promised: Frames that the container announces (0 where it does not).
        lost_packets: Packets that raised an error.
        damaged: Frames or packets that the decoder or demuxer flags as damaged.
        end: Where the last packet ends, in seconds from the stream's start.
        promised_end: Where the container says that it ends (0 where it does not). What an MP4 in
            fragments says is the end of those that can be read.
        unread: Share of the file's bytes behind the last packet; 1 where that is not known.
        broken_off: The demuxer's error, if it could not go on.
    """

    frames: int = 0
    promised: int = 0
    lost_packets: int = 0
    damaged: int = 0
    end: float = 0.0
    promised_end: float = 0.0
    unread: float = 1.0
    broken_off: str = ""

    def complaints(self, times: Sequence[float]) -> list[str]:
        """One sentence for each thing that is wrong, with the number of frames that are lost.

        The number is exact where the container promises one; elsewhere it is estimated.

        Args:
            times: Seconds of the frames that decoded.
        """
        found = []
        lost = 0.0
        missing = self.promised - self.frames
        behind = self.promised_end - self.end
        between = max(missing_between(times), self.lost_packets)
        step = usual_step(times)
        unread = self.unread if LONGEST_TAIL < self.unread < 1 else 0.0
        if missing > 0:
            found.append(f"cut off or damaged: {missing} of {self.promised} frames are missing")
        elif behind > max(SHORTEST_LOSS, 2 * step):
            more = unread or self.broken_off
            what = "cannot be read past" if more else "cut off or damaged: ends after"
            found.append(f"{what} {self.end:.2f} of {self.promised_end:.2f} s")
            lost = behind / step if step else 0.0
        elif self.broken_off or (self._harmed and unread and not self.promised_end):
            found.append(f"cannot be read past {self.end:.2f} s")
            lost = self.frames * unread / (1 - unread)
        if found and missing <= 0:
            found[0] += f" ({self.broken_off})" if self.broken_off else ""
            found[0] += f", about {round(lost)} frames are lost" if lost else ""
        if missing <= 0 and between and (found or self._harmed):
            found.append(f"damaged in the middle: about {between} frames are lost")
        if self.damaged:
            lost = "" if found or self.promised or self.promised_end else " or be missing"
            found.append(f"damaged places, where frames may look wrong{lost}: {self.damaged}")
        return found

    @property
    def harm(self) -> int:
        """Packets that are lost, and frames or packets that are flagged, so far."""
        return self.lost_packets + self.damaged

    @property
    def _harmed(self) -> bool:
        return self.harm > 0


def open_container(path: Path, *, allow_playlist: bool = False) -> InputContainer:
    """Opens a file.

    Args:
        path: The file.
        allow_playlist: See `open_file`.

    Raises:
        TrovidError: If it is empty, damaged at its beginning or no video.
    """
    try:
        if path.stat().st_size == 0:
            raise TrovidError(f"{path}: the file is empty (0 bytes); copy or download it again")
        container = open_file(path, allow_playlist=allow_playlist)
    except FFmpegError as error:
        if _begins_as_mp4(path):
            cause = "an MP4 without a readable index, cut off while being recorded or copied"
        elif isinstance(error, PermissionError):
            cause = "reading it is not permitted"
        else:
            cause = "not a video, or damaged at its beginning"
        raise TrovidError(f"{path}: {cause}; name a complete video file") from error
    except OSError as error:
        raise TrovidError(f"{path}: cannot be opened ({error.strerror})") from error
    except ValueError as error:
        raise TrovidError(f"{str(path)!r}: no file can have this name ({error})") from error
    if container.format.name in TEXT_FORMATS:
        container.close()
        raise TrovidError(f"{path}: a text file, not a video; name a video or a folder of images")
    return container


def _begins_as_mp4(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream to read: the best that is no cover picture.

    Raises:
        TrovidError: If there is none, or none that can be decoded.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
        raise TrovidError(f"{path}: holds no video (only {', '.join(kinds)}); name another file")
    best = container.streams.best("video")
    stream = next((stream for stream in streams if stream == best), streams[0])
    if stream.codec_context is None:
        raise TrovidError(f"{path}: there is no decoder for this video; convert it to H.264")
    return stream


@contextmanager
def decoding(stream: VideoStream) -> Generator[VideoStream]:
    """Leaves the decoder of a stream at rest, before its container is closed.

    A container that closes waits for the decoder's threads and holds Python's lock, which they want
    where they write to FFmpeg's log (torchvision up to 0.21 lets them): neither would ever go on.
    """
    try:
        yield stream
    finally:
        stream.codec_context.flush_buffers()


def stated_frames(container: InputContainer, stream: VideoStream) -> int:
    """Frames that the container announces; 0 where it does not.

    Slots of an AVI that say no more than "as before" are no frames, for they decode to none.
    """
    if container.format.name == "avi":
        return sum(entry.size > NO_PICTURE for entry in stream.index_entries)
    return stream.frames


def decode(container: InputContainer, stream: VideoStream, seen: Pass) -> Generator[VideoFrame]:
    """All frames that decode from where the container stands, going on after damaged packets.

    Args:
        container: From `open_container`.
        stream: From `video_stream`.
        seen: Is filled with what the decoder meets.
    """
    seen.promised = stated_frames(container, stream)
    fragments = "mp4" in container.format.name and not seen.promised
    seen.promised_end = 0.0 if fragments else _promised_end(container, stream)
    unit = stream.time_base or 0
    usual = 1 / (stream.average_rate * unit) if stream.average_rate and unit else 0
    start = stream.start_time or 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError as error:
            seen.broken_off = error.strerror or type(error).__name__
            return
        if packet is None:
            return
        if packet.is_discard or (packet.size == 0 and packet.dts is not None):
            seen.promised = max(seen.promised - 1, 0)
        seen.damaged += packet.is_corrupt
        if packet.pos is not None and container.size > 0:
            rest = 1 - (packet.pos + packet.size) / container.size
            seen.unread = max(0.0, min(seen.unread, rest))
        if packet.pts is not None:
            seen.end = max(
                seen.end, float((packet.pts - start + (packet.duration or usual)) * unit)
            )
        try:
            frames = packet.decode()
        except FFmpegError:
            seen.lost_packets += 1
            continue
        for frame in frames:
            if not isinstance(frame, VideoFrame):
                continue
            seen.frames += 1
            seen.damaged += frame.is_corrupt
            yield frame


def _promised_end(container: InputContainer, stream: VideoStream) -> float:
    """Duration in seconds that the container states for this stream, 0 if it does not."""
    if container.format.name == "avi" and stream.time_base is not None:
        return float(stream.frames * stream.time_base)
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    # Matroska and FLV state the time of the end, counted from 0, not the length.
    late = float((stream.start_time or 0) * (stream.time_base or 0))
    late = late if {"matroska", "flv"} & {*container.format.name.split(",")} else 0.0
    stated = next((v for k, v in stream.metadata.items() if k.upper() == "DURATION"), "")
    try:
        hours, minutes, seconds = stated.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - late
    except ValueError:
        pass
    if len(container.streams) == 1 and container.duration is not None:
        return container.duration / av.time_base - late
    return 0.0
