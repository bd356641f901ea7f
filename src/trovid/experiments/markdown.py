"""Figures and tables as the reports of all experiments write them, in per cent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trovid.files import replacing


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; all columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]


def figure_text(figure: dict[str, Any]) -> str:
    """Mean over seeds and, where there are several, their deviation."""
    spread = "" if figure["spread"] is None else f" ± {100 * figure['spread']:.1f}"
    return f"{100 * figure['mean']:.1f}{spread}"


def gain_text(gain: dict[str, float]) -> str:
    """A difference with its interval."""
    return f"{100 * gain['value']:+.1f} [{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]"


def written(path: Path, text: str) -> None:
    """Writes a file, under a temporary name first."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
