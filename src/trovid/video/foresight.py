"""The frames of a video file foreseen from its packets, without decoding them."""

from __future__ import annotations

from array import array
from itertools import pairwise

from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from trovid.video.container import stated_frames
from trovid.video.damage import missing_between

CONTAINERS = frozenset(("mov", "matroska"))
DECODERS = frozenset(("av1", "libdav1d", "h264", "hevc", "vp9"))
"""For each packet they give one frame, of whole files that are made as is usual."""


def foreseen(
    container: InputContainer, stream: VideoStream
) -> tuple[array[float], array[int], array[int]] | None:
    """The frames' times in seconds and in the stream's unit, rising, and which of them stand alone.

    Only decoding tells whether it is so: files may be damaged where no packet shows it.

    Args:
        container: At its beginning.
        stream: Of the video.

    Returns:
        None where packets do not tell: another kind of file, packets that are flagged or without
            a time of their own, not as many as the container announces, or a gap in their times.
    """
    if not CONTAINERS & {*container.format.name.split(",")}:
        return None
    unit = stream.time_base
    if stream.codec_context.name not in DECODERS or unit is None:
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
    ticks = array("q", (tick for tick, _ in found))
    times = array("d", (float(t) * unit.numerator / unit.denominator for t in ticks))
    if missing_between(times):
        return None
    return times, ticks, array("q", (number for number, (_, key) in enumerate(found) if key))
