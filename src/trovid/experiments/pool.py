"""Processes that the long computing of an experiment is spread over, and that end when it ends."""

from __future__ import annotations

import ctypes
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Collection, Generator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from trovid.allocator import keep_freed_memory

TOLD_AGAIN = 1.0
"""Seconds after which a process is told once more to end: one that begins just then loses it."""


class Pool:
    """Takes jobs for its processes; made by `process_pool`."""

    def __init__(self, executor: ProcessPoolExecutor, ended: ctypes.c_bool) -> None:
        self._executor = executor
        self._ended = ended
        self._futures: list[Future[Any]] = []

    def submit(self, job: Callable[..., Any], *words: Any, **named: Any) -> Future[Any]:
        """Puts a job in line, which is called with these arguments."""
        future = self._executor.submit(_run, job, words, named)
        self._futures.append(future)
        return future

    def end(self, others: Collection[BaseProcess]) -> None:
        """Ends what runs, and begins nothing more.

        Args:
            others: Processes of this one that are not the pool's.
        """
        self._ended.value = (
            True  # the executor has handed out a job or two that it cannot take back
        )
        for future in self._futures:
            future.cancel()
        told: dict[BaseProcess, float] = {}
        try:
            while not all(future.done() for future in self._futures):
                now = time.monotonic()
                for process in {*multiprocessing.active_children()} - {*others}:
                    if now - told.get(process, -math.inf) >= TOLD_AGAIN:
                        process.terminate()
                        told[process] = now
                time.sleep(0.05)
            self._executor.shutdown()
        except (KeyboardInterrupt, SystemExit):
            for process in {*multiprocessing.active_children()} - {*others}:
                process.kill()
            raise


@contextmanager
def process_pool(workers: int, *, fresh: bool = False) -> Generator[Pool]:
    """Processes of one thread each; with `fresh` each job has one of its own.

    Whatever ends the block early, an error or Ctrl-C, ends them too: jobs in line do not begin, a
    training (`stopping`) ends after its step with a checkpoint, any other job at once.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    ended = context.RawValue(ctypes.c_bool, False)
    executor = ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_begin,
        initargs=(ended,),
        max_tasks_per_child=1 if fresh else None,
    )
    pool, others = Pool(executor, ended), multiprocessing.active_children()
    try:
        yield pool
    except BaseException:
        pool.end(others)
        raise
    executor.shutdown()


@contextmanager
def stopping() -> Generator[Callable[[], bool]]:
    """Within a job: instead of being ended, it is told by this function that it has to end."""
    _state.patient = True
    try:
        yield lambda: _state.ending
    finally:
        _state.patient = False


class _State:
    """Of a process of the pool."""

    ended = ctypes.c_bool(False)  # shared with the process that ends the pool
    ending = False
    patient = False
    busy = False


_state = _State()


def _begin(ended: ctypes.c_bool) -> None:
    _state.ended = ended
    keep_freed_memory()
    for name in ("SIGINT", "SIGHUP"):  # a terminal tells all; who began them ends them
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> None:
    first, _state.ending = not _state.ending, True
    if first and _state.busy and not _state.patient:
        raise SystemExit(128 + number)


def _run(job: Callable[..., Any], words: tuple[Any, ...], named: dict[str, Any]) -> Any:
    _state.busy = True
    try:
        if _state.ending or _state.ended.value:
            raise SystemExit(0)
        return job(*words, **named)
    finally:
        _state.busy = False
