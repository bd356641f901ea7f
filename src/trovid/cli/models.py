"""`trovid models`: what models there are, and the card of each."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
from cyclopts import Parameter

from trovid.cli.columns import print_columns
from trovid.cli.messages import print_record
from trovid.cli.names import ModelName
from trovid.errors import printable

if TYPE_CHECKING:
    from trovid.zoo.catalogue import CatalogueEntry

models = cyclopts.App(
    name="models",
    help="Models: list, show.",
    help_epilogue="Examples:\n"
    "    trovid models\n"
    "    trovid models show synthvid-selsa-troi\n"
    "    trovid models show mine.safetensors",
    help_format="plaintext",
)


@models.default
@models.command(name="list")
def list_(*, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """List the models by the names that `trovid detect --model` takes, with their figures.

    Examples:
        trovid models
        trovid models list --json

    Args:
        json: Print the list as JSON.
    """
    from trovid.zoo.catalogue import catalogue

    if json:
        print_record([_record(entry) for entry in catalogue()])
        return
    print_columns(
        ["name", "classes", "weights", "figures (per cent)"],
        ([e.name, str(len(e.classes) or "?"), e.place, e.figures] for e in catalogue()),
    )


@models.command
def show(name: ModelName, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Print a model's card: classes, recipe, figures, licence, source.

    Examples:
        trovid models show synthvid-selsa-troi

    Args:
        name: A name that `trovid models` lists, or a weights file.
        json: Print the card as JSON.
    """
    from trovid.zoo.catalogue import catalogue_entry

    entry = catalogue_entry(name)
    if json:
        print_record(_record(entry))
        return
    classes = ", ".join(entry.classes) if entry.classes else "not known here"
    file = "" if entry.file is None else f": {entry.file}, {entry.file.stat().st_size / 1e6:.1f} MB"
    rows = {
        "name": entry.name,
        "classes": f"{len(entry.classes)}: {classes}" if entry.classes else classes,
        "recipe": entry.recipe,
        "figures": entry.figures,
        "licence": entry.licence,
        "source": entry.source,
        "weights": entry.place + file,
    }
    for key, value in rows.items():
        value = printable(value)
        lines = textwrap.wrap(value, 88, break_long_words=False, break_on_hyphens=False)
        print(f"{key:9}" + f"\n{'':9}".join(lines))


def _record(entry: CatalogueEntry) -> dict[str, Any]:
    return asdict(entry) | {"file": None if entry.file is None else str(entry.file)}
