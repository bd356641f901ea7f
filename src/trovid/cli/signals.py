"""Ctrl-C, SIGTERM and SIGHUP (a closed terminal): files are completed, nothing half is left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from types import FrameType

from trovid.cli.messages import say

INTERRUPT = (signal.SIGINT,)
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
Handler = Callable[[int, FrameType | None], None]


@contextmanager
def _handling(numbers: Iterable[int], handler: Handler) -> Generator[None]:
    """While it lasts, the handler gets these signals, but for those that are ignored (nohup)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in wanted}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


class StopWish:
    """Whether a signal came.

    Attributes:
        number: The first signal; None as long as there was none.
    """

    def __init__(self) -> None:
        self.number: int | None = None

    def __call__(self) -> bool:
        """Whether one came."""
        return self.number is not None

    @contextmanager
    def noting(self) -> Generator[Callable[[], bool]]:
        """While it lasts, the first signal is only noted and the second interrupts.

        Yields:
            This wish.
        """
        with _handling((*INTERRUPT, *ENDING), self._note):
            yield self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
        say("stopping, the results so far are being completed (once more: at once)")


@contextmanager
def stop_wish() -> Generator[Callable[[], bool]]:
    """`StopWish.noting` of a new wish."""
    with StopWish().noting() as wish:
        yield wish


@contextmanager
def ended_in_order() -> Generator[None]:
    """While it lasts, SIGTERM and SIGHUP unwind the program, so that nothing half is left.

    The status is then 128 + the signal's number, as if the signal had ended it.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _handling(ENDING, end):
        yield
