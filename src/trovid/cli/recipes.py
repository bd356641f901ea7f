"""`trovid recipes`: what the recipes are, what they cost, and where two of them differ."""

from __future__ import annotations

import json as json_text
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from trovid.cli.columns import print_columns
from trovid.cli.messages import print_record
from trovid.cli.names import RecipeName

if TYPE_CHECKING:
    from trovid.recipes import Recipe
    from trovid.zoo.cost import Cost

recipes = cyclopts.App(
    name="recipes",
    help="Recipes: list, show, diff.",
    help_epilogue="Examples:\n"
    "    trovid recipes\n"
    "    trovid recipes show paper/selsa-troi-r101\n"
    "    trovid recipes diff paper/selsa-troi-r101 mmtracking/selsa-troi-r101",
    help_format="plaintext",
)


@recipes.default
@recipes.command(name="list")
def list_(*, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """List the recipes: parameters, operations of a target frame, published figure.

    GFLOP are those of a target frame at the recipe's own size with a filled bank of 14 support
    frames: backbone, RPN and box head, and beside it what support frames add by the equations as
    they are written: Temporal RoI Align (trovid's backends need fewer), its rivals, FGFA's
    aggregation. "published" is what others state: mAP at IoU 0.5, per cent, ImageNet VID val.

    Examples:
        trovid recipes
        trovid recipes list --json

    Args:
        json: Print the list as JSON.
    """
    from trovid.recipes import load_recipe, recipe_names
    from trovid.zoo.cost import cost

    recipes_ = map(load_recipe, recipe_names())
    if json:
        records = ((r.name, r.published, asdict(cost(r))) for r in recipes_)
        print_record([{"name": n, **needs, "published": p} for n, p, needs in records])
        return
    print_columns(
        ["name", "parameters", "GFLOP", "operator GFLOP", "published"],
        (_row(recipe, cost(recipe)) for recipe in recipes_),
    )


def _row(recipe: Recipe, needs: Cost) -> list[str]:
    return [
        recipe.name,
        f"{needs.parameters / 1e6:.1f} M",
        f"{needs.detector_gflop:.3g}",
        f"{needs.operator_gflop:.3g}" if needs.operator_gflop else "-",
        "-" if recipe.published is None else f"{recipe.published:.1f}",
    ]


@recipes.command
def show(name: RecipeName, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Print a recipe whole, every value with where it comes from and what it means.

    What is printed is a recipe file that makes the same model.

    Examples:
        trovid recipes show synthvid-selsa-troi
        trovid recipes show paper/selsa-troi-r50 > mine.yaml

    Args:
        name: A name that `trovid recipes` lists, or a YAML file.
        json: Print the values as JSON.
    """
    from trovid.recipes import load_recipe, recipe_text, recipe_values

    recipe = load_recipe(name)
    if json:
        print_record(recipe_values(recipe))
    else:
        print(recipe_text(recipe), end="")


@recipes.command
def diff(
    first: RecipeName,
    second: RecipeName,
    /,
    *,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Show where two recipes differ, value by value.

    Examples:
        trovid recipes diff paper/selsa-troi-r101 mmtracking/selsa-troi-r101

    Args:
        first: A name that `trovid recipes` lists, or a YAML file.
        second: Another.
        json: Print the differences as JSON.
    """
    from trovid.recipes import flat_values, load_recipe

    one, other = (
        {key: json_text.dumps(value) for key, value in flat_values(load_recipe(name)).items()}
        for name in (first, second)
    )
    rows = [[key, one.get(key, "-"), other.get(key, "-")] for key in {**one, **other}]
    rows = [row for row in rows if row[1] != row[2]]
    if json:
        print_record([dict(zip(("key", "first", "second"), row, strict=True)) for row in rows])
    elif rows:
        print_columns(["", first, second], rows)
    else:
        print(f"{first} and {second} are equal")
