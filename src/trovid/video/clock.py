"""The clock of a video that starts again on the way, as of files or streams joined end to end."""

from __future__ import annotations

import math

from trovid.video.damage import REORDERED

DEFAULT_FRAME_RATE = 25.0


class SteadyClock:
    """Gives frames times that go on where their clock starts again.

    A clock starts again where a frame lies more than a step before the last one, and either at the
    clock's own beginning or further back than a decoder reorders frames behind damage. That frame
    comes a step after the last one, and those behind it follow in their own steps.

    Args:
        frame_rate: Usual frames per second; 0 where it is not known.

    Attributes:
        restart: Index of the first frame at which the clock starts again; None where it does not.
        end: Seconds at which the clock before it ends; infinity where it does not.

    Example:
        >>> clock = SteadyClock(1.0)
        >>> [clock(time) for time in (5.0, 6.0, 7.0, 5.0, 6.5)], clock.restart
        ([5.0, 6.0, 7.0, 8.0, 9.5], 3)
    """

    def __init__(self, frame_rate: float) -> None:
        self.restart: int | None = None
        self.end = math.inf
        self._step = 1 / (frame_rate or DEFAULT_FRAME_RATE)
        self._offset = 0.0
        self._begin, self._last = math.inf, -math.inf
        self._seen = 0

    def __call__(self, time: float) -> float:
        """The time to go by.

        Args:
            time: Of the next frame, in seconds, as its source states it.
        """
        back = self._last - time
        again = time < self._begin + self._step / 2 or back > REORDERED * self._step
        if back > 1.01 * self._step and again:
            if self.restart is None:
                self.restart, self.end = self._seen, self._last + self._step
            self._offset += back + self._step
            self._begin = self._last = time
        self._begin, self._last = min(self._begin, time), max(self._last, time)
        self._seen += 1
        return time + self._offset

    @property
    def problem(self) -> str:
        """What is to be said of it; empty where it does not start again."""
        if self.restart is None:
            return ""
        return f"its clock starts again at frame {self.restart}; the times of the frames go on"
