"""What commands say on stderr, and to programs on stdout."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from trovid.cli.options import defaults_of
from trovid.errors import printable, without_password

DEBUG_VARIABLE = "TROVID_DEBUG"
_options: ContextVar[frozenset[str]] = ContextVar("options", default=frozenset())


@contextmanager
def speaking(*, quiet: bool) -> Generator[None]:
    """While it lasts, what the library logs is said on stderr, and options are named as flags.

    Args:
        quiet: Whether only errors are said.
    """
    log, handler = logging.getLogger("trovid"), _Lines()
    handler.setLevel(logging.ERROR if quiet else logging.WARNING)
    log.addHandler(handler)
    token = _options.set(frozenset())
    try:
        yield
    finally:
        _options.reset(token)
        log.removeHandler(handler)


def name_options_of(commands: Iterable[Callable]) -> None:
    """From now on the arguments of these commands' functions are named as flags."""
    _options.set(frozenset(name for command in commands for name in defaults_of(command)))


def with_flags(message: str) -> str:
    """A message of the library in the command line's words.

    Python's `max_detections` becomes --max-detections and `video=False` --no-video, where the
    command has such an option. A cure that it has not, as the last of several, is left out.
    """
    options = _options.get()

    def last_cure(found: re.Match[str]) -> str:
        return found[0] if not options or found[1] in options else ""

    def flag(found: re.Match[str]) -> str:
        name, off = found.groups()
        if name not in options:
            return found[0]
        return ("--no-" if off else "--") + name.replace("_", "-")

    message = re.sub(r", or give `(\w+)`[\w ]*", last_cure, message)
    return re.sub(r"`(\w+)(=False)?`", flag, message)


def complain(message: str, error: BaseException | None = None) -> None:
    """One line on stderr; with `--debug` the error follows with its place.

    Args:
        message: What is wrong and what helps; Python arguments in it become flags.
        error: Where it comes from; by default the error being handled.
    """
    say(" ".join(message.split()))
    error = error or sys.exception()
    if os.environ.get(DEBUG_VARIABLE) and error is not None:
        traceback.print_exception(error)


def say(message: str) -> None:
    """One line on stderr; Python arguments in it become flags, control characters are escaped."""
    print("trovid: " + printable(with_flags(without_password(message))), file=sys.stderr)


def print_record(record: Any) -> None:
    """One JSON value on stdout, which is what `--json` prints."""
    print(json.dumps(record, indent=1))


class _Lines(logging.Handler):
    """A line a record, on what is stderr by then."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())
