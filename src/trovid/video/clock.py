"""The clock of a video that starts again on the way, as of files or streams joined end to end."""

from __future__ import annotations

import math
from collections import deque

from trovid.video.damage import REORDERED

DEFAULT_FRAME_RATE = 25.0


class SteadyClock:
    """Gives frames times that go on where their clock starts again.

    A clock starts again where a frame lies more than a step before the last one, and before all of
    the last `REORDERED` ones: behind damage a decoder may change the order of so many, and single
    frames may have any time. That frame comes a step after the last one, and those behind it follow
    in their own steps. It did not start again where one of the next frames is back in the old time.

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
        self._recent: deque[float] = deque(maxlen=REORDERED)
        self._old: list[float] = []
        self._back = 0.0
        self._seen = 0

    def __call__(self, time: float) -> float:
        """The time to go by.

        Args:
            time: Of the next frame, in seconds, as its source states it.
        """
        recent = self._recent
        if len(recent) > 1:
            back = recent[-1] - time
            if back > 1.01 * self._step and time < min(recent) + self._step / 2:
                self._start_again(back + self._step)
        if self._old and recent and time - recent[-1] > self._back / 2 and time > self._old[-1]:
            self._go_back()
        recent.append(time)
        self._old = self._old if len(recent) < REORDERED else []
        self._seen += 1
        return time + self._offset

    def _start_again(self, back: float) -> None:
        if self.restart is None:
            self.restart, self.end = self._seen, self._recent[-1] + self._step
        self._offset += back
        self._old, self._back = [*self._recent], back
        self._recent.clear()

    def _go_back(self) -> None:
        if self.restart == self._seen - len(self._recent):
            self.restart, self.end = None, math.inf
        self._offset -= self._back
        self._recent.clear()
        self._recent.extend(self._old)
        self._old = []

    @property
    def problem(self) -> str:
        """What is to be said of it; empty where it does not start again."""
        if self.restart is None:
            return ""
        return f"its clock starts again at frame {self.restart}; the times of the frames go on"
