"""Work that is begun in a thread of its own, before its result is asked for."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

T = TypeVar("T")
Stop = Callable[[], bool]
LOWEST_PRIORITY = 19


class GivenUp(Exception):
    """Nobody wants the result any more."""


class Ahead(Generic[T]):
    """Calls a function in a thread of its own.

    Args:
        work: The function. It asks its argument again and again whether to give up, as it does
            where the program ends; then it raises `GivenUp`.
        wanted_soon: Whether others wait for it; else it takes what time the other threads leave.
    """

    def __init__(self, work: Callable[[Stop], T], *, wanted_soon: bool = False) -> None:
        self._work = work
        self._wanted_soon = wanted_soon
        self._future: Future[T] = Future()
        self._given_up = threading.Event()
        threading.Thread(target=self._run, name="trovid-reading").start()

    def done(self, within: float) -> bool:
        """Whether it is through in so many seconds."""
        wait([self._future], within)
        return self._future.done()

    def result(self) -> T:
        """What came of it, waited for; its error is raised."""
        return self._future.result()

    def failed(self) -> bool:
        """Whether an error came of it, waited for."""
        return self._future.exception() is not None

    def give_up(self) -> None:
        """Ends it, where it is not through."""
        self._given_up.set()
        wait([self._future])

    def _stop(self) -> bool:
        return self._given_up.is_set() or not threading.main_thread().is_alive()

    def _run(self) -> None:
        # On Linux priorities are of threads, and of those they start.
        if sys.platform == "linux" and not self._wanted_soon:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        try:
            self._future.set_result(self._work(self._stop))
        except BaseException as error:
            self._future.set_exception(error)
