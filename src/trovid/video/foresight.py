"""The frames of a video file foreseen from its packets, without decoding them."""

from __future__ import annotations

from array import array
from itertools import pairwise

from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from trovid.video.container import stated_frames

CONTAINERS = frozenset(("mov", "matroska"))
DECODERS = frozenset(("av1", "libdav1d", "h264", "hevc", "vp9"))
"""For each packet they give one frame, of whole files that are made as is usual."""


def foreseen(
    container: InputContainer, stream: VideoStream
) -> tuple[array[int], array[int]] | None:
    """The frames' presentation times, rising, and the indices of those that stand alone.

    Only decoding tells whether it is so: files may be damaged where no packet shows it.

    Args:
        container: At its beginning.
        stream: Of the video.

    Returns:
        None where packets do not tell: another kind of file, packets that are flagged or without
            a time of their own, or not as many as the container announces.
    """
    if not CONTAINERS & {*container.format.name.split(",")}:
        return None
    if stream.codec_context.name not in DECODERS:
        return None
    promised = stated_frames(container, stream)
    found: list[tuple[int, bool]] = []
    try:
        for packet in container.demux(stream):
            if packet.size == 0 and packet.dts is None:
                continue
            if packet.pts is None or packet.size == 0 or packet.is_discard or packet.is_corrupt:
                return None
            found.append((packet.pts, packet.is_keyframe))
    except FFmpegError:
        return None
    found.sort()
    if not found or promised not in (0, len(found)):
        return None
    if not found[0][1] or any(after[0] == before[0] for before, after in pairwise(found)):
        return None
    keys = array("q", (number for number, (_, key) in enumerate(found) if key))
    return array("q", (tick for tick, _ in found)), keys
