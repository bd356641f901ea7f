"""YAML and JSON of others, measured before anything of it is expanded."""

from __future__ import annotations

import json
from typing import Any

import yaml

from trovid.errors import TrovidError, printable

LARGEST = 2**20
DEEPEST = 20
MOST_VALUES = 100_000
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_values(text: str, origin: str) -> Any:
    """The plain values of a YAML or JSON text.

    Args:
        text: Of at most 1 MiB, 20 levels and 100,000 values, those that an alias repeats included.
        origin: Names the file in errors.

    Raises:
        TrovidError: If the text is neither, or goes beyond that.
    """
    if len(text) > LARGEST:
        raise TrovidError(f"{origin}: must be at most 1 MiB long, but has {len(text)} characters")
    try:
        if text.lstrip().startswith("{"):
            try:
                return json.loads(text)
            except json.JSONDecodeError:
                pass  # YAML may begin so too
        _measure(text, origin)
        return yaml.load(text, LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = printable(str(getattr(error, "problem", None) or error))[:200]
        raise TrovidError(f"{origin}{line}: not YAML: {problem}") from error
    except (ValueError, OverflowError, RecursionError) as error:  # a date or number that is none
        raise TrovidError(f"{origin}: not YAML: {printable(str(error))[:200]}") from error


def _measure(text: str, origin: str) -> None:
    """Counts values as they would be after every alias was replaced by what it stands for."""
    sizes: dict[str, int] = {}
    open_parts: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, LOADER):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in (anchor for anchor, _ in open_parts):
                raise TrovidError(f"{origin}: *{printable(event.anchor)[:60]} holds itself")
            total += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_parts.append((event.anchor, total))
            total += 1
            if len(open_parts) > DEEPEST:
                raise TrovidError(f"{origin}: must be at most {DEEPEST} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_parts.pop()
            if anchor:
                sizes[anchor] = total - before
        if total > MOST_VALUES:
            raise TrovidError(f"{origin}: must hold at most {MOST_VALUES} values, aliases included")
