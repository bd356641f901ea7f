"""What is known of a video file or a folder of images before anything is detected in it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from trovid.errors import without_password
from trovid.video.container import open_container, stated_frames, video_stream
from trovid.video.file import FileReader
from trovid.video.images import ImageReader
from trovid.video.opening import open_video
from trovid.video.reader import VideoReader

EVEN_STEPS = 0.01
"""Steps of time that differ by less than this share, or a tick of the container, are equal."""


@dataclass(frozen=True)
class StreamInfo:
    """One stream of a container.

    Attributes:
        index: Its number in the container.
        kind: "video", "audio", "subtitle", ...
        codec: Its codec, with the profile where it has one.
        description: Size and pixel format, or rate and channels.
        read: Whether this is the stream that trovid reads.
    """

    index: int
    kind: str
    codec: str
    description: str
    read: bool


@dataclass(frozen=True)
class VideoInfo:
    """A video as its container states it and as it really decodes.

    Attributes:
        source: Path of the file or folder.
        container: Name of the container's format, or "folder of images".
        bytes: Size of the file, or of the images together.
        streams: The container's streams; none for images.
        height: Upright height of a frame in pixels.
        width: Upright width of a frame in pixels.
        rotation: Degrees by which players turn the pictures counter-clockwise.
        mirrored: Whether they mirror them top to bottom before they turn them.
        frame_rate: Mean frames per second that were measured; 0 where unknown.
        stated_frame_rate: What the container states; None where it states nothing.
        variable_frame_rate: Whether the time between frames varies.
        shortest_step: Shortest time between two frames in seconds; None for fewer than two.
        longest_step: Longest time between two frames in seconds; None for fewer than two.
        start: Time of the first frame in seconds.
        duration: Seconds from the first frame's beginning to the last one's end.
        stated_duration: What the container states; None where it states nothing.
        frames: Frames that really decode.
        stated_frames: What the container states; None where it states nothing.
        problems: One line for each damage.
    """

    source: str
    container: str
    bytes: int
    streams: tuple[StreamInfo, ...]
    height: int
    width: int
    rotation: int
    mirrored: bool
    frame_rate: float
    stated_frame_rate: float | None
    variable_frame_rate: bool
    shortest_step: float | None
    longest_step: float | None
    start: float
    duration: float
    stated_duration: float | None
    frames: int
    stated_frames: int | None
    problems: tuple[str, ...]


def video_info(
    path: str | Path, *, frame_rate: float = 0.0, allow_playlist: bool = False
) -> VideoInfo:
    """Opens a file or folder of images and decodes it once.

    Args:
        path: The file or folder.
        frame_rate: Frames per second of a folder (0: unknown).
        allow_playlist: See `open_video`.

    Raises:
        TrovidError: If there is nothing to read.
    """
    reader = open_video(path, frame_rate=frame_rate, allow_playlist=allow_playlist)
    if isinstance(reader, FileReader):
        with open_container(reader.path, allow_playlist=allow_playlist) as container:
            return _file_info(reader, container)
    assert isinstance(reader, ImageReader)
    video = reader.video
    return VideoInfo(
        source=without_password(str(path)),
        container="folder of images" if Path(path).is_dir() else "image",
        bytes=sum(image.stat().st_size for image in reader.paths),
        streams=(),
        height=video.height,
        width=video.width,
        rotation=0,
        mirrored=False,
        frame_rate=video.frame_rate,
        stated_frame_rate=None,
        stated_duration=None,
        stated_frames=None,
        frames=video.num_frames,
        problems=tuple(reader.problems),
        **_measured(reader, tick=0.0),
    )


def _file_info(reader: FileReader, container: InputContainer) -> VideoInfo:
    video = reader.video
    used = video_stream(container, reader.path)
    rate = float(used.average_rate or 0)
    return VideoInfo(
        source=reader.source,
        container=container.format.name,
        bytes=reader.path.stat().st_size,
        streams=tuple(_stream(stream, stream is used) for stream in container.streams),
        height=video.height,
        width=video.width,
        rotation=reader.rotation,
        mirrored=reader.mirrored,
        frame_rate=video.frame_rate,
        stated_frame_rate=rate or None,
        stated_duration=_stated_duration(container, used),
        stated_frames=stated_frames(container, used) or None,
        frames=video.num_frames,
        problems=tuple(problem.removeprefix(f"{reader.source}: ") for problem in reader.problems),
        **_measured(reader, tick=float(used.time_base or 0)),
    )


def _measured(reader: VideoReader, *, tick: float) -> dict:
    times = reader.times
    steps = [after - before for before, after in pairwise(times)]
    shortest, longest = (min(steps), max(steps)) if steps else (None, None)
    rate = reader.video.frame_rate
    last = 1 / rate if rate else 0.0
    uneven = bool(steps) and max(steps) - min(steps) > max(EVEN_STEPS * max(steps), 1.5 * tick)
    return {
        "variable_frame_rate": uneven,
        "shortest_step": shortest,
        "longest_step": longest,
        "start": times[0],
        "duration": times[-1] - times[0] + last,
    }


def _stated_duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1e6


def _stream(stream: Stream, read: bool) -> StreamInfo:
    context = stream.codec_context
    if context is None:
        return StreamInfo(stream.index, stream.type, "no decoder", "", read)
    profile = f" ({context.profile})" if context.profile else ""
    return StreamInfo(
        stream.index, stream.type, f"{context.name}{profile}", _description(stream), read
    )


def _description(stream: Stream) -> str:
    if isinstance(stream, VideoStream):
        words = [f"{stream.width}x{stream.height}"]
        if stream.format is not None:
            words.append(stream.format.name)
            words += [f"{part.bits} bit" for part in stream.format.components[:1]]
        if stream.disposition & Disposition.attached_pic:
            words.append("a cover picture")
        return ", ".join(words)
    if isinstance(stream, AudioStream):
        layout = stream.codec_context.layout
        return f"{stream.rate} Hz" + (f", {layout.name}" if layout else "")
    return ""
