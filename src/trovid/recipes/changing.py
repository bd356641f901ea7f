"""A recipe with some of its values changed by their keys, as on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import yaml

from trovid.errors import TrovidError, nearest
from trovid.recipes.ranges import check_recipe
from trovid.recipes.schema import Origin, Recipe
from trovid.recipes.typed_values import Reading, convert
from trovid.recipes.values import flat_values

ORIGIN = "set"


def parse_changes(words: Iterable[str]) -> dict[str, Any]:
    """Keys and values of words such as `model.rpn.nms=0.6`; values are YAML.

    Raises:
        TrovidError: If a word has no key, or its value is no YAML.

    Example:
        >>> parse_changes(["training.steps=300", "training.drops=[100, 200]"])
        {'training.steps': 300, 'training.drops': [100, 200]}
    """
    changes = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.strip():
            raise TrovidError(f"`set` must be KEY=VALUE, such as model.rpn.nms=0.6, but is {word}")
        try:
            changes[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise TrovidError(f"`set` {key}: {text!r} is no YAML value") from error
    return changes


def changed_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with other values under some dotted keys.

    Args:
        recipe: The recipe.
        changes: Value by key, such as {"model.rpn.nms": 0.6}; of a whole part too, such as
            {"training.camera": None}, where it may be left out.

    Raises:
        TrovidError: If there is no such key, or a value does not fit; the message names both.

    Example:
        >>> from trovid.recipes import load_recipe
        >>> changed_recipe(load_recipe("own"), {"training.steps": 30}).training.steps
        30
    """
    if not changes:
        return recipe
    known = flat_values(recipe)
    values: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in known and not any(name.startswith(f"{key}.") for name in known):
            raise TrovidError(f"recipe {recipe.name} has no key {key!r}{nearest(key, known)}")
        if any(other.startswith(f"{key}.") for other in changes):
            raise TrovidError(f"{key} is set as a whole and in part: set one of both")
        place = values
        *parents, name = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    changed = convert(values, Recipe, Reading(ORIGIN), base=recipe)
    check_recipe(changed, ORIGIN)
    return replace(changed, origin=Origin(base=recipe, file=ORIGIN))


def differences(one: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """The keys in which two recipes differ, with both values; absent ones are "-"."""
    mine, theirs = flat_values(one), flat_values(other)
    keys = dict.fromkeys([*mine, *theirs])
    pairs = {key: (mine.get(key, "-"), theirs.get(key, "-")) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
