"""Processes that the long computing of an experiment is spread over, and that end when it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any

from trovid.allocator import keep_freed_memory


class Pool:
    """Takes jobs for its processes; made by `process_pool`."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def submit(self, job: Callable[..., Any], *words: Any, **named: Any) -> Future[Any]:
        """Puts a job in line, which is called with these arguments."""
        return self._executor.submit(_run, job, words, named)


@contextmanager
def process_pool(workers: int, *, fresh: bool = False) -> Generator[Pool]:
    """Processes of one thread each; with `fresh` each job has one of its own.

    Whatever ends the block early, an error or Ctrl-C, ends them too: jobs in line do not begin, a
    training (`stopping`) ends after its step with a checkpoint, any other job at once.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    executor = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        max_tasks_per_child=1 if fresh else None,
    )
    before = {*multiprocessing.active_children()}
    try:
        yield Pool(executor)
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        own = {*multiprocessing.active_children()} - before
        try:
            for process in own:
                process.terminate()
            for process in own:
                process.join()
        except KeyboardInterrupt:
            for process in own:
                process.kill()
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

    ending = False
    patient = False


_state = _State()


def _begin() -> None:
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells all; who began them ends them
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> None:
    _state.ending = True
    if not _state.patient:
        raise SystemExit(128 + number)


def _run(job: Callable[..., Any], words: tuple[Any, ...], named: dict[str, Any]) -> Any:
    if _state.ending:
        raise SystemExit(0)
    return job(*words, **named)
