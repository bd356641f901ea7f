"""Plain values, as YAML and JSON give them, to typed dataclasses; errors name the key."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from typing import Any, Literal

from trovid.errors import TrovidError


def nearest(word: str, words: list[str]) -> str:
    """The end of an error about an unknown word: the word that was meant, or all there are."""
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(words)}"


def convert(value: Any, kind: Any, origin: str, *, complete: bool = True, key: str = "") -> Any:
    """The value as the type says, nested dataclasses included.

    Of several dataclasses (`A | B`) the one is taken whose `name` allows the value's `name`.

    Args:
        value: Nested dicts, lists and plain values.
        kind: The type.
        origin: Names the file in errors.
        complete: Whether keys with a default must be there too.
        key: Where the value stands, for errors.

    Raises:
        TrovidError: If a key is wrong, unknown or missing.
    """
    where = f"{origin}: {key or 'the recipe'}"
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        kinds = [a for a in arguments if a is not type(None)]
        return convert(value, _by_name(value, kinds, where), origin, complete=complete, key=key)
    if dataclasses.is_dataclass(kind):
        return _to_dataclass(value, kind, origin, complete, key)
    origin_kind = typing.get_origin(kind)
    if origin_kind is Literal:
        if value not in arguments:
            raise TrovidError(f"{where} must be one of {', '.join(arguments)}, but is {value!r}")
        return value
    if origin_kind is tuple:
        variable = len(arguments) == 2 and arguments[1] is Ellipsis
        if not isinstance(value, list) or not (variable or len(value) == len(arguments)):
            count = "values" if variable else f"{len(arguments)} values"
            raise TrovidError(f"{where} must be a list of {count}, but is {value!r}")
        kinds = [arguments[0]] * len(value) if variable else arguments
        return tuple(
            convert(v, k, origin, complete=complete, key=f"{key}[{i}]")
            for i, (v, k) in enumerate(zip(value, kinds, strict=True))
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str) and re.fullmatch(r"-?\d+[eE][-+]?\d+", value):
        return float(value)  # a number to JSON, but to YAML only with a point
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TrovidError(f"{where} must be of type {kind.__name__}, but is {value!r}")
    return value


def _to_dataclass(value: Any, kind: Any, origin: str, complete: bool, key: str) -> Any:
    where = f"{origin}: {key or 'the recipe'}"
    if not isinstance(value, dict):
        raise TrovidError(f"{where} must hold keys and values, but is {value!r}")
    hints = typing.get_type_hints(kind)
    for name in value:
        if name not in hints:
            raise TrovidError(f"{where} has no key {name!r}{nearest(str(name), list(hints))}")
    needed = [
        field.name
        for field in dataclasses.fields(kind)
        if complete or field.default is dataclasses.MISSING
    ]
    missing = [name for name in needed if name not in value]
    if missing:
        raise TrovidError(f"{where} lacks {', '.join(missing)}")
    return kind(
        **{
            name: convert(v, hints[name], origin, complete=complete, key=f"{key}.{name}".strip("."))
            for name, v in value.items()
        }
    )


def _by_name(value: Any, kinds: list[Any], where: str) -> Any:
    """Of several dataclasses the one whose field `name` is a Literal with the value's `name`.

    One of them may have no such field: it is that of values without a name.
    """
    if len(kinds) == 1:
        return kinds[0]
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str | None):
        raise TrovidError(f"{where}.name must be text, but is {name!r}")
    names: dict[Any, Any] = {}
    for kind in kinds:
        hints = typing.get_type_hints(kind)
        if "name" in hints:
            names.update(dict.fromkeys(typing.get_args(hints["name"]), kind))
        elif name is None:
            return kind
    if name not in names:
        raise TrovidError(f"{where}.name must be one of {', '.join(names)}, but is {name!r}")
    return names[name]
