"""Recipes by name, from YAML files, and from the JSON that weights carry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from trovid.bounded_yaml import LARGEST, read_values
from trovid.errors import TrovidError, nearest, shortened
from trovid.recipes import (
    coco,
    epic_kitchens,
    everyday,
    imagenet_vid,
    synthvid,
    user_videos,
    youtube_vis,
)
from trovid.recipes.ranges import check_recipe
from trovid.recipes.schema import Origin, Recipe
from trovid.recipes.typed_values import Reading, convert

BUILT_IN = {
    **coco.RECIPES,
    **epic_kitchens.RECIPES,
    **everyday.RECIPES,
    **imagenet_vid.RECIPES,
    **user_videos.RECIPES,
    **synthvid.RECIPES,
    **youtube_vis.RECIPES,
}


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(BUILT_IN)


def load_recipe(name_or_path: str | Path) -> Recipe:
    """The recipe of that name, or of that YAML file.

    A file holds every value, or says `base: NAME` (a recipe's name, or a YAML file without a base,
    by its path from the file's folder) and holds what differs. Its name is then by default the
    file's, and the published figure is not taken over.

    Raises:
        TrovidError: If there is none, or the file has a wrong, unknown or missing key.
    """
    name = str(name_or_path)
    if _is_file(name):
        return parse_recipe(_text(name), name)
    if name not in BUILT_IN:
        hint = nearest(name, BUILT_IN, otherwise="`trovid recipes` lists them")
        raise TrovidError(f"no recipe {name!r}{hint}")
    return BUILT_IN[name]()


def parse_recipe(text: str, origin: str, *, complete: bool = True) -> Recipe:
    """A recipe from YAML text.

    Args:
        text: The recipe.
        origin: Names the file in errors.
        complete: Whether every value must be there, or be its base's. Otherwise a value that the
            first version of trovid did not have yet may be missing and is what that version did.

    Raises:
        TrovidError: If the text is no YAML, or has a wrong, unknown or missing key.
    """
    values = read_values(text, origin)
    if complete and isinstance(values, dict) and "base" in values:
        return _derived(values, origin)
    recipe = convert(values, Recipe, Reading(origin, complete))
    check_recipe(recipe, origin)
    return replace(recipe, origin=Origin(file=origin))


def _derived(values: dict[Any, Any], origin: str) -> Recipe:
    base = _base(values["base"], origin)
    changes = {"name": Path(origin).stem, **values}
    del changes["base"]
    unpublished = replace(base, published=None, origin=Origin(base=base, file=origin))
    recipe = convert(changes, Recipe, Reading(origin), base=unpublished)
    check_recipe(recipe, origin)
    if recipe.name == base.name:
        raise TrovidError(f"{origin}: {base.name!r} is its base's name: give it another `name`")
    return recipe


def _base(name: Any, origin: str) -> Recipe:
    if not isinstance(name, str):
        raise TrovidError(
            f"{origin}: base must be a recipe's name or a YAML file, but is {shortened(name)}"
        )
    if not _is_file(name):
        try:
            return load_recipe(name)
        except TrovidError as error:
            raise TrovidError(f"{origin}: base: {error}") from error
    file = str(Path(origin).parent / name)
    text = _text(file)
    values = read_values(text, file)
    if isinstance(values, dict) and "base" in values:
        raise TrovidError(
            f"{origin}: its base {file} has a base itself, which goes one level too far: "
            f"let it hold every value, as `trovid recipes show {file}` prints them"
        )
    return parse_recipe(text, file)


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _text(file: str) -> str:
    try:
        with Path(file).open("rb") as opened:
            return opened.read(LARGEST + 1).decode("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise TrovidError(f"{file}: {reason}") from error
