"""Which frames of a video are looked at."""

from __future__ import annotations

from bisect import bisect_left

from trovid.errors import OptionError
from trovid.structures import DetectOptions
from trovid.video.opening import VideoReader

TIMELESS = "{}: its frames have no times, of which `end` is one; give their `frame_rate`"


def target_frames(reader: VideoReader, options: DetectOptions) -> range:
    """Indices of the target frames in the options' time, each `stride`-th.

    Raises:
        OptionError: If there is none, or times are asked for and the frames have none.
    """
    times = reader.times
    if options.end is not None and len(times) > 1 and times[0] == times[-1] == 0:
        raise OptionError(TIMELESS.format(reader.source))
    first = bisect_left(times, options.start) if options.start else 0
    last = len(times) if options.end is None else bisect_left(times, options.end)
    if first >= last:
        end = times[-1] if len(times) else 0.0
        hint = "" if end else "; give the folder's `frame_rate`"
        raise OptionError(
            f"{reader.source}: no frame lies in the time asked for, "
            f"the last one is at {end:.2f} s; change `start` or `end`{hint}"
        )
    return range(first, last, options.stride)
