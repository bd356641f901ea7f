"""Progress on the terminal; plain lines, now and then, where the output is no terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Protocol

from trovid.errors import printable

QUIET_VARIABLE = "TROVID_QUIET"
"""Environment variable that hides all progress; `--quiet` sets it."""


class Tick(Protocol):
    """Reports `done` of `total` units, with a word on the state."""

    def __call__(self, done: int, total: int, detail: str = "", /) -> None:
        """Say how far it is."""


@contextmanager
def bar(
    title: str, *, unit: str, seconds_between_lines: float = 60.0, shown: bool = True
) -> Generator[Tick]:
    """A progress bar with speed and time left.

    Args:
        title: What is being done.
        unit: What is counted, in the plural.
        seconds_between_lines: How often a line is printed where there is no terminal.
        shown: Whether there is any of it.

    Yields:
        A function to call with (done, total) or (done, total, detail); a total of 0 is unknown.
    """
    title = printable(title)
    if not shown or os.environ.get(QUIET_VARIABLE):
        yield lambda done, total, detail="": None
    elif sys.stderr.isatty():
        yield from _rich_bar(title, unit)
    else:
        yield _plain_lines(title, unit, seconds_between_lines)


class Parts:
    """One progress for parts that go on side by side.

    Args:
        tick: Is told the sums.
        totals: For each part its units.
    """

    def __init__(self, tick: Tick, totals: Mapping[str, int]) -> None:
        self._tick = tick
        self._done = dict.fromkeys(totals, 0)
        self._totals = dict(totals)

    def tick(self, name: str) -> Tick:
        """The progress of one part."""

        def tick_part(done: int, total: int, detail: str = "", /) -> None:
            self._done[name] = done
            self._tick(sum(self._done.values()), sum(self._totals.values()))

        return tick_part

    def drop(self, name: str) -> None:
        """Takes out a part of which nothing was done."""
        del self._done[name], self._totals[name]


def _speed(speed: float, unit: str) -> str:
    """Units a second, or the time of one where that is easier to read.

    Example:
        >>> _speed(12.34, "frames"), _speed(0.05, "steps")
        ('12.3 frames/s', '20 s a step')
    """
    if speed >= 1 or not speed:
        return f"{speed:.1f} {unit}/s"
    return f"{1 / speed:.3g} s a {unit.removesuffix('s')}"


def _rich_bar(title: str, unit: str) -> Generator[Tick]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None, detail="")
        began = time.monotonic()
        first: int | None = None

        def tick(done: int, total: int, detail: str = "", /) -> None:
            nonlocal first
            first = max(0, done - 1) if first is None else first
            speed = (done - first) / max(time.monotonic() - began, 1e-9)
            text = f"{_speed(speed, unit)}  {printable(detail)}"
            progress.update(task, completed=done, total=total or None, detail=text)

        yield tick


def _plain_lines(title: str, unit: str, pause: float) -> Tick:
    began = last = time.monotonic()
    first: int | None = None

    def tick(done: int, total: int, detail: str = "", /) -> None:
        nonlocal last, first
        first = done if first is None else first
        now = time.monotonic()
        if now - last < pause and done != total:
            return
        last = now
        speed = (done - first) / max(now - began, 1e-9)
        state = f"{done}/{total} {unit}" if total else f"{done} {unit}"
        if speed:
            state += f", {_speed(speed, unit)}"
        if speed and total > done:
            state += f", {(total - done) / speed / 60:.1f} minutes left"
        print(f"{title}: {state}  {detail}".rstrip(), file=sys.stderr)

    return tick
