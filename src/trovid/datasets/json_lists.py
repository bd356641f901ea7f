"""The lists of a large JSON document, entry by entry: never all of it as Python objects at once."""

from __future__ import annotations

import json
import re
from collections.abc import Generator

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def members(text: str) -> dict[str, int]:
    """Where in the text the value of each member of a document begins.

    Args:
        text: The document, an object.

    Raises:
        json.JSONDecodeError: If the text is no JSON.
        TypeError: If the document is no object.

    Example:
        >>> members('{"info": {}, "images": [1, 2]}')
        {'info': 9, 'images': 23}
    """
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise TypeError(f"must hold an object, but holds {type(json.loads(text)).__name__}")
    found = {}
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        if found:
            at = _expect(text, at, ",")
        name, at = _decode(text, at)
        at = _expect(text, at, ":")
        if not isinstance(name, str):
            raise json.JSONDecodeError("Expecting property name", text, at)
        found[name] = at
        at = _end(entries(text, at)) if text[at : at + 1] == "[" else _decode(text, at)[1]
    if _skip(text, at + 1) != len(text):
        raise json.JSONDecodeError("Extra data", text, at + 1)
    return found


def value(text: str, at: int) -> object:
    """The value that begins there."""
    return _decode(text, at)[0]


def entries(text: str, at: int) -> Generator[object, None, int]:
    """The entries of the list that begins there, one after another; in the end where it ends.

    Example:
        >>> list(entries('{"images": [1, 2]}', 11))
        [1, 2]
    """
    at = _skip(text, at + 1)
    if text[at : at + 1] != "]":
        while True:
            entry, at = _decode(text, at)
            yield entry
            if text[at : at + 1] == "]":
                break
            at = _expect(text, at, ",")
    return _skip(text, at + 1)


def _end(walk: Generator[object, None, int]) -> int:
    while True:
        try:
            next(walk)
        except StopIteration as stop:
            return stop.value


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _decode(text: str, at: int) -> tuple[object, int]:
    """A value, and where what follows it begins."""
    found, end = _DECODER.raw_decode(text, at)
    return found, _skip(text, end)


def _expect(text: str, at: int, sign: str) -> int:
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"Expecting {sign!r}", text, at)
    return _skip(text, at + 1)
