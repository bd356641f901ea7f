"""Plain values, as YAML and JSON give them, to typed dataclasses; errors name the key."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

from trovid.errors import TrovidError, nearest, shortened


@dataclass(frozen=True)
class Reading:
    """How values are read.

    Attributes:
        origin: Names the file in errors.
        complete: Whether keys with a default must be there too, but for those with "since".
    """

    origin: str
    complete: bool = True

    def where(self, key: str) -> str:
        """The beginning of an error about a key."""
        return f"{self.origin}: {key or 'the recipe'}"


def convert(value: Any, kind: Any, reading: Reading, *, base: Any = None, key: str = "") -> Any:
    """The value as the type says, nested dataclasses included.

    Of several dataclasses (`A | B`) the one is taken whose `name` allows the value's `name`; its
    name alone stands for its defaults, where it has all.
    A dataclass's keys are its compared fields.

    Args:
        value: Nested dicts, lists and plain values.
        kind: The type.
        reading: How it is read.
        base: Has the values of missing keys, where it is of the dataclass that is made.
        key: Where the value stands, for errors.

    Raises:
        TrovidError: If a key is wrong, unknown or missing.
    """
    where = reading.where(key)
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        kinds = [a for a in arguments if a is not type(None)]
        if isinstance(value, str) and all(map(dataclasses.is_dataclass, kinds)):
            value = _named_alone(value, kinds, where)
        return convert(value, _by_name(value, kinds, base, where), reading, base=base, key=key)
    if dataclasses.is_dataclass(kind):
        return _to_dataclass(value, kind, reading, base, key)
    origin_kind = typing.get_origin(kind)
    if origin_kind is Literal:
        if value not in arguments:
            raise TrovidError(
                f"{where} must be one of {', '.join(arguments)}, but is {shortened(value)}"
            )
        return value
    if origin_kind is tuple:
        variable = len(arguments) == 2 and arguments[1] is Ellipsis
        if not isinstance(value, list) or not (variable or len(value) == len(arguments)):
            count = "values" if variable else f"{len(arguments)} values"
            raise TrovidError(f"{where} must be a list of {count}, but is {shortened(value)}")
        kinds = [arguments[0]] * len(value) if variable else arguments
        return tuple(
            convert(v, k, reading, key=f"{key}[{i}]")
            for i, (v, k) in enumerate(zip(value, kinds, strict=True))
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**1000 else math.inf
    if kind is float and isinstance(value, str) and re.fullmatch(r"-?\d+[eE][-+]?\d+", value):
        return float(value)  # a number to JSON, but to YAML only with a point
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TrovidError(f"{where} must be of type {kind.__name__}, but is {shortened(value)}")
    return value


def _to_dataclass(value: Any, kind: Any, reading: Reading, base: Any, key: str) -> Any:
    where = reading.where(key)
    if not isinstance(value, dict):
        raise TrovidError(f"{where} must hold keys and values, but is {shortened(value)}")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.compare}
    for name in value:
        if name not in fields:
            raise TrovidError(
                f"{where} has no key {shortened(name)}{nearest(str(name)[:60], fields)}"
            )
    base = base if isinstance(base, kind) else None
    missing = [
        name
        for name, field in fields.items()
        if name not in value and base is None and _needed(field, reading)
    ]
    if missing:
        raise TrovidError(f"{where} lacks {', '.join(missing)}")
    converted = {
        name: convert(
            v, hints[name], reading, base=getattr(base, name, None), key=f"{key}.{name}".strip(".")
        )
        for name, v in value.items()
    }
    return kind(**converted) if base is None else dataclasses.replace(base, **converted)


def _named_alone(name: str, kinds: list[Any], where: str) -> dict[str, str]:
    """The values that a name alone stands for."""
    alone = [
        literal
        for kind in kinds
        if not any(_needed(field, Reading(where)) for field in _without_name(kind))
        for literal in typing.get_args(typing.get_type_hints(kind).get("name"))
    ]
    if name not in alone:
        words = ", ".join(alone) or "keys and values"
        raise TrovidError(f"{where} must hold keys and values, or be {words}, but is {name!r}")
    return {"name": name}


def _without_name(kind: Any) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(kind) if field.name != "name"]


def _needed(field: dataclasses.Field[Any], reading: Reading) -> bool:
    without_default = field.default is dataclasses.MISSING
    return without_default or (reading.complete and "since" not in field.metadata)


def _by_name(value: Any, kinds: list[Any], base: Any, where: str) -> Any:
    """Of several dataclasses the one whose field `name` is a Literal with the value's `name`.

    One of them may have no such field: it is that of values without a name. Without a name, too,
    a value that changes some keys of a base is of the base's kind.
    """
    if len(kinds) == 1:
        return kinds[0]
    name = value.get("name") if isinstance(value, dict) else None
    if name is None and base is not None:
        return type(base)
    if not isinstance(name, str | None):
        raise TrovidError(f"{where}.name must be text, but is {shortened(name)}")
    names: dict[Any, Any] = {}
    for kind in kinds:
        hints = typing.get_type_hints(kind)
        if "name" in hints:
            names.update(dict.fromkeys(typing.get_args(hints["name"]), kind))
        elif name is None:
            return kind
    if name not in names:
        raise TrovidError(
            f"{where}.name must be one of {', '.join(names)}, but is {shortened(name)}"
        )
    return names[name]
