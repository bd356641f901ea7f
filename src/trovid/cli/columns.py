"""Text in aligned columns, as readable in a pipe as on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trovid.errors import printable


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equally many cells as lines; the first row is the heading.

    Example:
        >>> print(columns([["name", "AP50"], ["a", "1.0"]]))
        name  AP50
        a     1.0
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def print_columns(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a heading and rows of equally many cells in aligned columns."""
    print(columns([[printable(cell) for cell in row] for row in (heading, *rows)]))
