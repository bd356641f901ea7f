"""Work that is done in order in a thread of its own, behind the one that hands it out."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Behind:
    """Calls a function in a thread, one call after the other.

    Args:
        work: The function.
        waiting: Calls that wait at most; then whoever hands them out waits.
    """

    def __init__(self, work: Callable[..., None], waiting: int) -> None:
        self._work = work
        self._calls: queue.Queue[tuple[Any, ...] | None] = queue.Queue(waiting)
        self._error: BaseException | None = None
        self._dropping = False
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="trovid-behind", daemon=True).start()

    def __call__(self, *arguments: Any) -> None:
        """Hands out a call; an error of an earlier one is raised here."""
        self._raise()
        self._calls.put(arguments)

    def finish(self) -> None:
        """Waits until all calls are done; an error of one is raised."""
        self._end()
        self._raise()

    def drop(self) -> None:
        """Ends without the calls that wait."""
        self._dropping = True
        self._end()

    def _end(self) -> None:
        # Python up to 3.12 takes a thread for ended where a signal interrupts its join.
        if not self._ended.is_set():
            self._calls.put(None)
            self._ended.wait()

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            self._dropping = True
            raise error

    def _run(self) -> None:
        while (arguments := self._calls.get()) is not None:
            if self._dropping or self._error is not None:
                continue
            try:
                self._work(*arguments)
            except BaseException as error:
                self._error = error
        self._ended.set()
