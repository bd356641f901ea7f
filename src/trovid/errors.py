"""The one error that the command line turns into a line of text, and the words it needs."""

from __future__ import annotations

import difflib
from collections.abc import Collection


class TrovidError(Exception):
    """Something a user can mend: its message is one line that names the cause and the cure."""


class OptionError(TrovidError, ValueError):
    """An option out of range: the message names it in backticks, as Python calls it.

    The command line writes `max_detections` as --max-detections.
    """


def nearest(word: str, words: Collection[str], *, otherwise: str | None = None) -> str:
    """The end of a message on an unknown word: the nearest known one, or all.

    Args:
        word: The unknown word.
        words: The known ones.
        otherwise: What is said where none is near; None for all known words.

    Example:
        >>> nearest("anker", ["anchor", "cup"]), nearest("x", ["anchor", "cup"])
        ("; did you mean 'anchor'?", '; there are: anchor, cup')
    """
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    if otherwise is not None:
        return f"; {otherwise}"
    return f"; there are: {', '.join(words)}" if words else "; there is none"
