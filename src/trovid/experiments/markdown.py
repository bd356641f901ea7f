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


def origin_text(result: dict[str, Any]) -> str:
    """Commit and machine of a report, and when it was made, as far as its JSON says them."""
    words = [f"Commit {result.get('commit', 'unknown')}", result.get("machine", "unknown")]
    if "finished" not in result:
        return f"{', '.join(words)}."
    words.append(f"{result['finished'][:16].replace('T', ' ')} UTC")
    return (
        f"{', '.join(words)}; the run that made this page took {result['minutes']:g} minutes, what "
        "was kept from earlier runs not counted."
    )


def hashes_text(result: dict[str, Any]) -> str:
    """The SHA-256 of the weights of a report, as far as its JSON says them."""
    known = [f"{name} `{digest[:16]}`" for name, digest in result.get("weights", {}).items()]
    return f"Weights (SHA-256): {', '.join(known)}." if known else "Weights: hashes not kept."


def written(path: Path, text: str) -> None:
    """Writes a file, under a temporary name first."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
