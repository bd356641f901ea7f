"""The one error that the command line turns into a line of text, and the words it needs."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Collection


class TrovidError(Exception):
    """Something a user can mend: its message is one line that names the cause and the cure."""


class OptionError(TrovidError, ValueError):
    """An option out of range: the message names it in backticks, as Python calls it.

    The command line writes `max_detections` as --max-detections.
    """


def printable(text: str) -> str:
    r"""Text of others that a terminal cannot take for a command: control characters escaped.

    Example:
        >>> print(printable("a\x1b[31m\tb"))
        a\x1b[31m\tb
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def without_password(text: str) -> str:
    """A text whose addresses do not tell who asks for them, to be shown or written down.

    Example:
        >>> without_password("https://me:secret@host/a.mp4: cannot be fetched")
        'https://host/a.mp4: cannot be fetched'
    """
    return re.sub(r"\b([a-z][a-z0-9+.-]*://)[^\s/?#]*@", r"\1", text, flags=re.IGNORECASE)


def shortened(value: object, length: int = 60) -> str:
    """A value for a message, however large or deep it is, without writing all of it.

    Example:
        >>> shortened([[0] * 10**6]), shortened("a" * 10**6, 12)
        ('[[0, 0, 0, 0, ...]]', "'aaa...aaaa'")
    """
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother, short.maxlong = 3, length, length, length
    short.maxlist = short.maxtuple = short.maxdict = 4
    return short.repr(value)[: 5 * length]


def nearest(word: str, words: Collection[str], *, otherwise: str | None = None) -> str:
    """The end of a message on an unknown word: the nearest known one, or all.

    Args:
        word: The unknown word.
        words: The known ones.
        otherwise: What is said where none is near; None for all known words.

    Example:
        >>> nearest("ancor", ["anchor", "cup"]), nearest("x", ["anchor", "cup"])
        ("; did you mean 'anchor'?", '; there are: anchor, cup')
        >>> nearest("people", ["aeroplane", "person"]), nearest("tv", ["cat", "tvmonitor"])
        ('; there are: aeroplane, person', "; did you mean 'tvmonitor'?")
    """
    alike = [known for known in words if known[:1] == word[:1]]
    close = (
        difflib.get_close_matches(word, words, n=1, cutoff=0.8)
        or difflib.get_close_matches(word, alike, n=1, cutoff=0.62)
        or [known for known in alike if len(word) > 1 and known.startswith(word)]
    )
    if close:
        return f"; did you mean {close[0]!r}?"
    if otherwise is not None:
        return f"; {otherwise}"
    return f"; there are: {', '.join(words)}" if words else "; there is none"
