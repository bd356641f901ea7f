"""What a damaged file has lost where its container promises no number of frames."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import av
import av.logging
import numpy as np
from av.error import FFmpegError

from trovid.video.protocols import open_file

EVEN_SHARE, EVEN_WITHIN = 0.8, 0.1


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


def demuxer_complains(path: Path, index: int, *, allow_playlist: bool = False) -> bool:
    """Whether the demuxer calls a file broken.

    It goes on behind a broken place and says so to FFmpeg's log alone.

    Args:
        path: The file.
        index: Of the stream to read.
        allow_playlist: See `open_file`.
    """
    level, skipping = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # else a file is called broken only the first time
    try:
        with (
            av.logging.Capture() as said,
            suppress(FFmpegError),
            open_file(path, allow_playlist=allow_playlist) as container,
        ):
            for _ in container.demux(container.streams[index]):
                pass
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skipping)
    return bool(said)
