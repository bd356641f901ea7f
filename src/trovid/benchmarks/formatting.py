"""Figures with their units, and rows as a Markdown or a terminal table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def format_seconds(seconds: float) -> str:
    """Three digits, in s, ms or us."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1 or unit == "us":
            return f"{seconds * factor:.3g} {unit}"
    raise AssertionError


def format_bytes(count: float) -> str:
    """Three digits, in GB (10^9 bytes) or MB."""
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def format_machine(machine: dict[str, Any]) -> str:
    """Where a figure comes from, in one line."""
    where = machine.get("gpu") or f"{machine['processor']}, {machine['cores']} cores"
    sets = " ".join(machine["instruction_sets"]) or "instruction sets unknown"
    return (
        f"{where}, {machine['threads']} threads ({sets}); torch {machine['torch']}, "
        f"torchvision {machine['torchvision']}, trovid {machine['trovid']} at "
        f"{machine['commit']}, {machine['date']}"
    )


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; the first column is text, the others are figures."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]


def terminal_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """The same for a terminal."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1))
    for index, name in enumerate(head):
        table.add_column(name, justify="right" if index else "left", no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    return table
