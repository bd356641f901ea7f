"""The entries of JSON labels with lists of records, as COCO has them, each checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trovid.datasets.findings import Faults
from trovid.datasets.json_lists import entries, members, value
from trovid.datasets.ranges import LARGEST_ID, LONGEST_NAME
from trovid.errors import shortened

NUMBER = (int, float)
Kinds = Mapping[str, type | tuple[type, ...]]
Record = dict[str, Any]
_WORDS: dict[Any, str] = {
    int: "an integer",
    str: "text",
    list: "a list",
    dict: "an object",
    bool: "true or false",
    NUMBER: "a number",
    (int, bool): "0 or 1",
    (dict, list): "a run-length code or polygons",
}
_ABSENT = object()
LONGEST_MESSAGE = 400


class Misfit(Exception):
    """What does not fit in a document, and where; `name` is that of the fault."""

    def __init__(self, message: str, name: str = "unreadable-labels") -> None:
        super().__init__(message if len(message) <= LONGEST_MESSAGE else f"{message[:300]} ...")
        self.name = name


class Entries:
    """The entries of a document; those that do not fit are left out where faults are collected.

    Args:
        text: The document.
        path: Its file.
        faults: What to do about what does not fit.
        required: By list the fields of its entries and their types.
        optional: By list the fields that entries may have.
    """

    def __init__(
        self,
        text: str,
        path: Path,
        faults: Faults,
        required: Mapping[str, Kinds],
        optional: Mapping[str, Kinds],
    ) -> None:
        self.text, self.path, self.faults = text, path, faults
        self.at = members(text)
        self._required, self._optional = required, optional

    def info(self) -> dict[str, Any] | None:
        """What the document says of itself."""
        found = value(self.text, self.at["info"]) if "info" in self.at else None
        return found if isinstance(found, dict) else None

    def fits(self, check: Callable[..., None], *values: Any) -> bool:
        """Whether a check passes; where faults are not collected, its Misfit goes on.

        Raises:
            Misfit: See there.
        """
        try:
            check(*values)
        except Misfit as misfit:
            if not self.faults.collect:
                raise
            self.faults.add(misfit.name, str(misfit), place=str(self.path))
            return False
        return True

    def records(self, key: str, *unique: str) -> Iterator[tuple[str, Record]]:
        """The entries of a list with their places; `id` and `unique` fields must differ.

        Raises:
            Misfit: If there is no such list, or an entry does not fit and faults are not collected.
        """
        if key not in self.at:
            raise Misfit(f"`{key}` must be a list, but is missing")
        if self.text[self.at[key]] != "[":
            kind = kind_of(value(self.text, self.at[key]))
            raise Misfit(f"`{key}` must be a list, but is {kind}")
        first: dict[str, dict[object, int]] = {field: {} for field in ("id", *unique)}

        def repeats(entry: Record, index: int) -> None:
            for field, seen in first.items():
                before = seen.setdefault(entry[field], index)
                if before != index:
                    repeated = f"repeats {entry[field]!r} of {key}[{before}]"
                    raise Misfit(f"{key}[{index}].{field} {repeated}")

        for index, entry in enumerate(entries(self.text, self.at[key])):
            where = f"{key}[{index}]"
            if self.fits(self._check_fields, entry, where, key):
                assert isinstance(entry, dict)
                if self.fits(repeats, entry, index):
                    yield where, entry

    def _check_fields(self, entry: object, where: str, key: str) -> None:
        if not isinstance(entry, dict):
            raise Misfit(f"{where} must be an object, but is {kind_of(entry)}")
        for name in self._required[key]:
            if name not in entry:
                raise Misfit(f"{where} has no `{name}`")
        known = {**self._required[key], **self._optional.get(key, {})}
        for name, wanted in known.items():
            given = entry.get(name, _ABSENT)
            if given is _ABSENT:
                continue
            odd = isinstance(given, bool) and not _allows_bool(wanted)
            if odd or not isinstance(given, wanted):
                raise Misfit(f"{where}.{name} must be {_WORDS[wanted]}, but is {kind_of(given)}")
        for name, given in entry.items():
            if name in known or isinstance(given, int | float):
                _check_extent(given, f"{where}.{name if name in known else shortened(name)}")


def _check_extent(given: object, where: str) -> None:
    """Numbers are finite and of a size that arrays hold; text is text, but for a file's name."""
    if isinstance(given, int | float) and not abs(given) < LARGEST_ID:  # NaN is not either
        raise Misfit(f"{where} must lie below 2**62 in size, but is {kind_of(given)}")
    if isinstance(given, str):
        plain = "\0" not in given if where.endswith("file_name") else given.isprintable()
        if not plain or len(given) > LONGEST_NAME:
            raise Misfit(f"{where} must be at most {LONGEST_NAME} printable characters")


def _allows_bool(wanted: type | tuple[type, ...]) -> bool:
    return wanted is bool or (isinstance(wanted, tuple) and bool in wanted)


def kind_of(value: object) -> str:
    """A value in a few words, for messages."""
    text = value if isinstance(value, str) else shortened(value, 40)
    return "missing" if value is None else f"{type(value).__name__} {text[:40]!r}"
