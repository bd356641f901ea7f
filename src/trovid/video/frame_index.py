"""Where the frames of a video file are."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from trovid.video.clock import SteadyClock


@dataclass
class FrameIndex:
    """Where each frame is.

    Attributes:
        times: Seconds of each frame.
        ticks: Presentation times in the stream's unit, increasing; empty where frames can be found
            by counting alone.
        keys: Indices of frames from which decoding can start.
        careful: Whether to decode in one thread, which keeps more of a damaged file.
        marks: Indices of frames that came after something was lost, or are flagged as damaged.
        doubtful: See `VideoReader.doubtful`.
        clock: Has given the times.
    """

    times: array[float] = field(default_factory=lambda: array("d"))
    ticks: array[int] = field(default_factory=lambda: array("q"))
    keys: array[int] = field(default_factory=lambda: array("q"))
    careful: bool = False
    marks: array[int] = field(default_factory=lambda: array("q"))
    doubtful: tuple[range, ...] = ()
    clock: SteadyClock = field(default_factory=lambda: SteadyClock(0.0))

    def holds(self, foreseen: FrameIndex) -> bool:
        """Whether frames found by another index, made without decoding, are exactly these."""
        return (
            not self.careful
            and self.clock.restart is None
            and self.times == foreseen.times
            and self.ticks == foreseen.ticks
            and {*foreseen.keys} <= {*self.keys}
        )
