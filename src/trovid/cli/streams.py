"""stdout and stderr as commands may rely on them, also where they are closed or full."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from trovid.errors import printable

COLOURS = r"\x1b(?!\[[0-9;?]*[A-Za-z])"
"""An escape that is more than a colour or a movement of the cursor."""
CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]"


class LostOutput(Exception):
    """What a command prints cannot be written; its message says why."""


@contextmanager
def usable_streams() -> Generator[None]:
    """While it lasts, stdout raises `LostOutput` where it cannot be written, and stderr nothing.

    A reader of stdout that leaves early is a BrokenPipeError, as ever. A name may hold any bytes:
    what a stream cannot encode is escaped, and so is what a terminal would take for a command, but
    for the colours of tables and bars on a terminal.
    """
    before = sys.stdout, sys.stderr
    _fill_gaps()
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = _Output(before[0]), _Forgiving(before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def give_up_stdout() -> None:
    """What stdout still holds goes nowhere, so that Python does not complain in the end."""
    with suppress(OSError, AttributeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fill_gaps() -> None:
    """Where a stream is closed, no other file gets its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


class _Output:
    escapes = r"\x1b"

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def rich_proxied_file(self) -> _Output:
        """What rich writes to in place of this."""
        return _Coloured(self._stream)

    def write(self, text: str) -> int:
        try:
            if self._stream is None:
                raise OSError(errno.EBADF, "it is closed")
            self._stream.write(self._safe(text))
            return len(text)
        except OSError as error:
            raise self._lost(error) from error

    def flush(self) -> None:
        try:
            if self._stream is not None:
                self._stream.flush()
        except OSError as error:
            raise self._lost(error) from error

    def _safe(self, text: str) -> str:
        if text.isprintable() or self._stream is None:
            return text
        escapes = self.escapes if self._stream.isatty() else _Output.escapes
        return re.sub(f"{escapes}|{CONTROLS}", lambda found: printable(found[0]), text)

    def _lost(self, error: OSError) -> Exception:
        if isinstance(error, BrokenPipeError):
            return error
        return LostOutput(f"stdout cannot be written: {error.strerror}; what was done is kept")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream or io.StringIO(), name)


class _Coloured(_Output):
    escapes = COLOURS


class _Forgiving(_Coloured):
    """Where there is nobody left to complain to, the work goes on."""

    @property
    def rich_proxied_file(self) -> _Output:
        """What rich writes to in place of this."""
        return self

    def write(self, text: str) -> int:
        with suppress(OSError):
            if self._stream is not None:
                self._stream.write(self._safe(text))
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            if self._stream is not None:
                self._stream.flush()
