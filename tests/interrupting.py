"""Ctrl-C while the main thread is in a certain function, however slow the machine is."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager

LONGEST = 60.0
"""Seconds to wait for the main thread to come there."""


def interrupt_within(function: str) -> None:
    """To be called by another thread, for which the main thread is going to wait there."""
    main = threading.main_thread().ident
    assert main is not None
    last = time.monotonic() + LONGEST
    while time.monotonic() < last:
        stack = traceback.walk_stack(sys._current_frames()[main])
        if any(frame.f_code.co_name == function for frame, _ in stack):
            time.sleep(0.1)  # it may have come there, and not wait yet
            os.kill(os.getpid(), signal.SIGINT)
            return
        time.sleep(0.01)


@contextmanager
def interruptible() -> Generator[None]:
    """Within it SIGINT is a KeyboardInterrupt, also where a shell has pytest ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
