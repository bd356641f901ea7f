"""Frames of a video looked at side by side, each by a share of the processor's cores.

One frame on all cores leaves most of them waiting: choices among boxes run on one, small maps are
not worth dividing. Two frames on one core each take 0.6 to 0.75 of the time of one after the other
on two (detectors of 0.02 to 0.2 s a frame, 2 cores); for large pictures, whose convolutions divide
well, it is not worth the memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from threading import Barrier
from typing import Any

import torch

from trovid.inference.session import Target

MOST_LANES = 4


def in_lanes(
    targets: Iterator[Target] | Generator[Target], look: Callable[[Target], Any], lanes: int
) -> Generator[Target]:
    """The same targets in the same order, with what was found in them.

    Targets are taken where this generator is; up to `lanes` + 1 of them ahead. What goes wrong
    comes where it would have come. Closing the generator closes the targets.

    Args:
        targets: Of one video, whose frames do not depend on what was found in others.
        look: Finds what is in a target frame; called in several threads, each of which computes
            with its share of torch's threads.
        lanes: How many are looked at at once.
    """
    with closing(targets):  # ty: ignore[invalid-argument-type]
        first = next(targets, None)
        if first is None:
            return
        second = _Ahead(targets)
        if second.target is None and second.error is None:
            yield first._replace(found=_found(first, look))
            return
        threads = torch.get_num_threads()
        with ThreadPoolExecutor(lanes, thread_name_prefix="trovid-lane") as pool:
            share_threads(pool, lanes, threads)
            yield from _ordered(chain([first], second, targets), look, lanes, pool)


class _Ahead:
    """The next target, or the error in its place, taken before it is asked for."""

    def __init__(self, targets: Iterator[Target]) -> None:
        self.target: Target | None = None
        self.error: Exception | None = None
        try:
            self.target = next(targets, None)
        except Exception as error:
            self.error = error

    def __iter__(self) -> Iterator[Target]:
        if self.error is not None:
            raise self.error
        if self.target is not None:
            yield self.target


def _ordered(
    targets: Iterator[Target], look: Callable[[Target], Any], lanes: int, pool: ThreadPoolExecutor
) -> Generator[Target]:
    waiting: deque[tuple[Target, Future[Any]]] = deque()
    failed: Exception | None = None
    more = True
    try:
        while more or waiting:
            while more and len(waiting) <= lanes:
                try:
                    target = next(targets, None)
                except Exception as error:
                    target, failed = None, error
                more = target is not None
                if target is not None:
                    waiting.append((target, pool.submit(_found, target, look)))
            if waiting:
                target, future = waiting.popleft()
                yield target._replace(found=future.result())
        if failed is not None:
            raise failed
    finally:
        for _, future in waiting:
            future.cancel()


def _found(target: Target, look: Callable[[Target], Any]) -> Any:
    return look(target) if target.found is None else target.found


def share_threads(pool: ThreadPoolExecutor, lanes: int, threads: int) -> None:
    """Lets each thread of a pool compute with its share of torch's threads, others as before."""
    together = Barrier(lanes)

    def begin() -> None:
        torch.get_num_threads()  # a thread's first call takes over what was set last anywhere
        torch.set_num_threads(max(1, threads // lanes))
        together.wait()

    for begun in [pool.submit(begin) for _ in range(lanes)]:
        begun.result()
    torch.set_num_threads(threads)  # what threads to come begin with is one number for all
