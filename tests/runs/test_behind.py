"""Work handed to a thread: in order, its errors told, nothing done after it was dropped."""

from __future__ import annotations

import threading
import time

import pytest

from tests.interrupting import interrupt_within, interruptible
from trovid.runs.behind import Behind


def test_calls_are_done_in_order():
    done = []
    work = Behind(lambda *words: done.append(words), 2)
    for number in range(50):
        work(number, "a")
    work.finish()
    assert done == [(number, "a") for number in range(50)]


def test_an_error_is_raised_at_the_next_call_or_in_the_end():
    def fails(number: int) -> None:
        if number == 1:
            raise OSError("full")
        assert number < 1

    work = Behind(fails, 1)

    def hand_out() -> None:
        for number in range(100):
            work(number)
            time.sleep(0.005)

    with pytest.raises(OSError, match="full"):
        hand_out()
    work.finish()
    work = Behind(fails, 9)
    work(1)
    with pytest.raises(OSError, match="full"):
        work.finish()


def test_dropped_calls_are_not_done():
    done, go = [], threading.Event()
    work = Behind(lambda number: (go.wait(5), done.append(number)), 3)
    for number in range(3):
        work(number)
    threading.Timer(0.1, go.set).start()
    work.drop()
    work.drop()
    assert done in ([], [0])


def test_a_signal_while_it_is_waited_for_leaves_no_call_behind():
    """What is discarded then would else be written to meanwhile, and Python ends by SIGABRT."""
    done = []

    def call() -> None:
        interrupt_within("finish")
        time.sleep(0.3)
        done.append(1)

    work = Behind(call, 2)
    work()
    with interruptible(), pytest.raises(KeyboardInterrupt):
        work.finish()
    work.drop()
    assert done == [1]
