"""Tables on the terminal and in a pipe: no number is ever cut off."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trovid.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

    from trovid.evaluation.tables import Table

WIDE = 10_000
SHORTEST = 12
"""Letters that are left of a name at least."""
LINES = 3
"""Width of a column's frame: a line and a space on each side of its cells."""


def table_console(**options: Any) -> Console:
    """A console as wide as the terminal, and in a pipe as wide as any table.

    Args:
        **options: Others of rich's Console.
    """
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDE, **options)


def print_tables(tables: Iterable[Table], console: Console) -> None:
    """Prints tables, each whole or in parts that fit the console."""
    for table in tables:
        for part in fitted(table, console.width):
            console.print(part.rich())


def print_figures(
    console: Console, title: str, head: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """Prints a table of a measurement (`terminal_table`), whole or in parts that fit."""
    from trovid.benchmarks.formatting import terminal_table
    from trovid.evaluation.tables import Table

    for part in fitted(Table(title, tuple(head), [tuple(row) for row in rows]), console.width):
        console.print(terminal_table(part.title, part.head, part.rows))


def fitted(table: Table, width: int) -> list[Table]:
    """A table, its names shortened in the middle, or several with some of its columns each.

    Names that would look alike are not shortened so far.

    Args:
        table: The first column holds names.
        width: Letters that a line has room for.

    Example:
        >>> from trovid.evaluation.tables import Table
        >>> rows = [("a-very-long-name-of-a-video", "100.0", "99.5")]
        >>> [part.rows for part in fitted(Table("", ("", "AP", "AR"), rows), 33)]
        [[('a-very-…-video', '100.0', '99.5')]]
        >>> [part.head for part in fitted(Table("", ("", "AP", "AR"), rows), 25)]
        [('', 'AP'), ('', 'AR')]
    """
    lines = [tuple(map(printable, line)) for line in (table.head, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    figures = [one + LINES for one in widths[1:]]
    names, room = [line[0] for line in lines], width - LINES - 1
    if widths[0] + sum(figures) <= room:
        return [table]
    short = _shortened(names, room - sum(figures))
    if short is not None:
        return [_part(table, lines, short, range(1, len(lines[0])))]
    least = room - max(figures, default=0)
    short = _shortened(names, max(SHORTEST, room // 3)) or _shortened(names, least) or names
    parts: list[list[int]] = [[]]
    taken = max(map(len, short))
    for number, figure in enumerate(figures, 1):
        if parts[-1] and taken + figure > room:
            parts.append([])
            taken = max(map(len, short))
        parts[-1].append(number)
        taken += figure
    made = [_part(table, lines, short, columns) for columns in parts]
    return [made[0], *(replace(part, title="") for part in made[1:])]


def _part(table: Table, lines: list[tuple[str, ...]], names: list[str], columns: Any) -> Table:
    head, *rows = (
        (name, *(line[column] for column in columns))
        for name, line in zip(names, lines, strict=True)
    )
    return replace(table, head=head, rows=rows)


def _shortened(names: list[str], width: int) -> list[str] | None:
    """The names with their middle left out; None where that leaves too little to tell them."""
    if width < SHORTEST:
        return None
    front, back = width // 2, (width - 1) // 2
    short = [n if len(n) <= width else f"{n[:front]}…{n[-back:]}" for n in names]
    return short if len({*short}) == len({*names}) else None
