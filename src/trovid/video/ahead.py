"""Items that are made ready in a thread of their own while the ones before are used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Any, TypeVar

Item = TypeVar("Item")
PATIENCE = 2.0
"""Seconds to wait for the thread in the end; it may be at rest for good when Python itself ends."""


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def ahead(items: Iterable[Item], count: int) -> Generator[Item]:
    """The same items in the same order, up to `count` of them made before they are asked for.

    An error comes where it would have come. Closing the generator ends the thread.

    Args:
        items: Are taken in a thread of their own, which closes them if they are a generator.
        count: Items that wait at most.

    Example:
        >>> list(ahead(range(4), 2))
        [0, 1, 2, 3]
    """
    waiting: queue.Queue[Any] = queue.Queue(count)
    closed = threading.Event()

    def make() -> None:
        last: Any = _END
        try:
            iterator = iter(items)
            try:
                for item in iterator:
                    waiting.put(item)
                    if closed.is_set():
                        break
            finally:
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            last = _Failure(error)
        if not closed.is_set():
            waiting.put(last)

    thread = threading.Thread(target=make, name="trovid-ahead", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        closed.set()
        for _ in range(count):  # the thread may stand before a full queue
            with suppress(queue.Empty):
                waiting.get_nowait()
        thread.join(PATIENCE)
