"""Frames decoded ahead: the same ones, errors in their place, no thread left."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.interrupting import interrupt_within, interruptible
from tests.media import encode, number
from trovid.inference.session import ahead, in_turn
from trovid.video import open_video


def threads() -> set[str]:
    return {each.name for each in threading.enumerate() if each.name.startswith("trovid-ahead")}


def settled() -> bool:
    until = time.monotonic() + 5
    while threads() and time.monotonic() < until:
        time.sleep(0.01)
    return not threads()


def test_the_frames_of_a_file_in_order(tmp_path):
    reader = open_video(encode(tmp_path / "a.mp4", num_frames=14))
    assert [number(frame.image) for frame in ahead(reader, 3)] == list(range(14))
    assert settled()


def test_an_error_comes_where_it_would_have_come():
    def items():
        yield from range(3)
        raise ValueError("broken")

    made = ahead(items(), 2)
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(made)
    assert settled()


def test_closing_ends_the_thread_and_closes_what_it_took_from():
    taken, closed = [], threading.Event()

    def endless():
        try:
            for item in range(10**9):
                taken.append(item)
                yield item
        finally:
            closed.set()

    items = ahead(endless(), 3)
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert closed.wait(5)
    assert settled()
    assert len(taken) < 12


def test_what_cannot_be_gone_through_is_an_error():
    class Closed:
        def __iter__(self):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        next(ahead(Closed(), 2))
    assert settled()


def test_one_that_waits_is_let_go():
    items = ahead(iter(range(10**9)), 1)
    assert next(items) == 0
    time.sleep(0.05)  # one waits
    items.close()
    assert not threads()


def test_nothing_is_taken_before_it_is_asked_for():
    items = ahead(iter(lambda: pytest.fail("asked"), None), 2)
    items.close()
    assert settled()


def test_a_signal_while_it_is_closed_leaves_no_job_behind():
    done, begun, closing = [], threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        assert closing.wait(60)
        interrupt_within("in_turn")
        time.sleep(0.3)
        done.append(1)

    made = in_turn(iter([lambda: 0, job]), 2, ThreadPoolExecutor(1))
    assert next(made) == 0
    assert begun.wait(60)
    closing.set()
    with interruptible(), pytest.raises(KeyboardInterrupt):
        made.close()
    assert done == [1]
