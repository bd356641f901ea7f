"""What a video file holds, seen without decoding all of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from av.error import FFmpegError

from trovid.errors import TrovidError
from trovid.video.container import open_container, video_stream
from trovid.video.file import FileReader


@dataclass(frozen=True)
class Glance:
    """A video file at a glance.

    Attributes:
        num_frames: How many packets with a frame the container holds; all of them decode where
            nothing is damaged.
        height: Of an upright frame.
        width: Of an upright frame.
        frame_rate: As the container states it; 0 where it does not.
    """

    num_frames: int
    height: int
    width: int
    frame_rate: float


def glance(path: Path) -> Glance:
    """Size and number of frames of a video file: its first frame is decoded, the rest is counted.

    Raises:
        TrovidError: If the file is missing, no video, or its first frame cannot be decoded.
    """
    height, width = FileReader(path).size
    try:
        with open_container(path) as container:
            stream = video_stream(container, path)
            count = sum(bool(packet.size) for packet in container.demux(stream))
            return Glance(count, height, width, float(stream.average_rate or 0))
    except FFmpegError as error:
        raise TrovidError(f"{path}: is damaged ({error}); get the file again") from error
