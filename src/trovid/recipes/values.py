"""A recipe as plain values."""

from __future__ import annotations

import dataclasses
from typing import Any

from trovid.recipes.schema import Origin, Recipe


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dicts, as YAML and JSON write it."""
    values = dataclasses.asdict(dataclasses.replace(recipe, origin=Origin()))
    del values["origin"]
    return values


def flat_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as one dict with dotted keys, such as `model.roi.temporal.top_k`."""
    return _flat(recipe_values(recipe), "")


def _flat(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat
