"""What a damaged file has lost where its container promises no number of frames."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import av
import av.logging
import numpy as np
from av.error import FFmpegError

from trovid.video.protocols import open_file

EVEN_SHARE, EVEN_WITHIN = 0.8, 0.1
REORDERED = 16
"""Frames at most by which a decoder gives another order than the file's (H.264, H.265)."""


def usual_step(times: Sequence[float]) -> float:
    """Median time between two frames in seconds; 0 for fewer than two frames."""
    return float(np.median(np.diff(np.sort(times)))) if len(times) > 1 else 0.0


def missing_between(times: Sequence[float]) -> int:
    """About how many frames are missing between others, by the gaps in their times.

    Where the time between frames varies of itself, nothing can be said, and it is 0.

    Args:
        times: Seconds of the frames that decode; behind damage they may run backwards.

    Example:
        >>> missing_between([0, 0.04, 0.08, 0.2, 0.24, 0.28, 0.32]), missing_between([0, 1, 5, 6.5])
        (2, 0)
    """
    usual = usual_step(times)
    if usual <= 0:
        return 0
    steps = np.diff(np.sort(times)) / usual
    if np.mean(np.abs(steps - 1) < EVEN_WITHIN) < EVEN_SHARE:
        return 0
    return int(np.sum(np.round(steps[steps > 1.5]) - 1))


def steps_with_loss(times: Sequence[float]) -> list[int]:
    """Indices of the frames before which others are missing, as `missing_between` counts them.

    Example:
        >>> steps_with_loss([0, 0.04, 0.08, 0.2, 0.24, 0.28, 0.32])
        [3]
    """
    if not missing_between(times):
        return []
    return (np.flatnonzero(np.diff(times) > 1.5 * usual_step(times)) + 1).tolist()


def doubtful_frames(
    marks: Iterable[int], keys: Sequence[int], num_frames: int
) -> tuple[range, ...]:
    """The frames that may show something else than was filmed, because of damage.

    A frame is coded as the difference to others: what was lost harms all up to the next frame that
    can be decoded alone. The decoder notices a loss up to `REORDERED` frames before or after it
    shows in the pictures, so that so many on each side are doubtful too, unless every frame can be
    decoded alone.

    Args:
        marks: Indices of the frames that came after something was lost or flagged; `num_frames`
            where the end may be lost.
        keys: Indices of the frames that can be decoded alone, rising.
        num_frames: Frames in all.

    Example:
        >>> doubtful_frames([40], keys=[0, 30, 50, 60, 90], num_frames=100)
        (range(24, 60),)
        >>> doubtful_frames([40], keys=range(100), num_frames=100)
        (range(39, 42),)
    """
    alone = len(keys) == num_frames
    found: list[range] = []
    for mark in sorted(set(marks)):
        if alone:
            first, end = mark - 1, mark + 2
        else:
            first = mark - REORDERED
            behind = bisect_right(keys, mark + REORDERED)
            end = keys[behind] if behind < len(keys) else num_frames
        first, end = max(first, 0), min(end, num_frames)
        if found and first <= found[-1].stop:
            first, end = found[-1].start, max(end, found.pop().stop)
        if first < end:
            found.append(range(first, end))
    return tuple(found)


def demuxer_complains(path: Path, index: int, *, allow_playlist: bool = False) -> bool:
    """Whether the demuxer calls a file broken.

    It goes on behind a broken place and says so to FFmpeg's log alone.

    Args:
        path: The file.
        index: Of the stream to read.
        allow_playlist: See `open_file`.
    """
    others: set[str] = set()  # decoders of the sound complain too
    level, skipping = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # else a file is called broken only the first time
    try:
        with (
            av.logging.Capture() as said,
            suppress(FFmpegError),
            open_file(path, allow_playlist=allow_playlist) as container,
        ):
            others |= {
                stream.codec_context.name
                for stream in container.streams
                if stream.type != "video" and stream.codec_context is not None
            }
            for _ in container.demux(container.streams[index]):
                pass
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skipping)
    return any(name not in others for _, name, _ in said)
