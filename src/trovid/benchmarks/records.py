"""Measured records in a JSON file: a newer one takes the place of an older one of its kind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trovid.errors import TrovidError
from trovid.files import replacing

_KEYS = ("benchmark", "case", "backend", "isa", "threads", "device", "dtype", "memory", "maps")
Record = dict[str, Any]


def read_records(path: Path) -> list[Record]:
    """The records of a file; none where there is no file.

    Raises:
        TrovidError: If the file holds something else.
    """
    if not path.exists():
        return []
    try:
        records = json.loads(path.read_text(encoding="utf-8"))["records"]
        if not all(isinstance(record["case"], str) for record in records):
            raise TypeError
    except (ValueError, KeyError, TypeError) as error:
        raise TrovidError(f"{path} is not a file of `trovid bench`: delete it") from error
    return records


def add_records(path: Path, records: Iterable[Record]) -> None:
    """Puts records into a file, each in the place of the one that measured the same."""
    kept = {_key(record): record for record in read_records(path)}
    kept.update((_key(record), record) for record in records)
    with replacing(path) as partial:
        text = json.dumps({"records": list(kept.values())}, indent=1)
        partial.write_text(text + "\n", encoding="utf-8")


def write_page(folder: Path, page: str, records: Sequence[Record]) -> None:
    """A page of records: report.md, and report.json with the records themselves."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.md": page,
        "report.json": json.dumps({"records": list(records)}, indent=1) + "\n",
    }
    for name, text in texts.items():
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def _key(record: Record) -> tuple[Any, ...]:
    return tuple(record.get(key) for key in _KEYS)
