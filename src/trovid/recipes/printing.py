"""A recipe as YAML, every value with where it comes from and what it means."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from trovid.errors import printable
from trovid.recipes.schema import Recipe
from trovid.recipes.values import flat_values

HEADER = "Beside each value: [the recipe or the file that says so] and what it means."
WIDTH = 88
COLUMN = 44
"""Where the words beside the values begin."""


def recipe_text(recipe: Recipe) -> str:
    """The recipe as a YAML file that holds every value.

    Beside a value stand its source, its meaning and, in brackets, a remark of the source. The
    source is the first of the recipes that this one was derived from to have the value, or
    "default" where a recipe that comes with the package leaves the value to the schema.
    """
    base, file = recipe.origin.base, recipe.origin.file
    title = recipe.origin.title or printable(f"{recipe.name}, from {file}")
    if base is not None and file is not None:
        title += f", on the base of {base.name}"
    head = [f"# {line}" for line in (*title.splitlines(), HEADER)]
    return "\n".join([*head, *_lines(recipe, Sources(recipe), "")]) + "\n"


class Sources:
    """Where the values of a recipe come from."""

    def __init__(self, recipe: Recipe) -> None:
        self.chain = [recipe]
        while (base := self.chain[-1].origin.base) is not None:
            self.chain.append(base)
        self.values = [flat_values(recipe) for recipe in self.chain]

    def words(self, key: str, *, default: Any, meaning: str | None) -> str:
        """The source of a value in brackets, its meaning, and the source's remark."""
        value = self.values[0][key]
        same = [key in values and values[key] == value for values in self.values]
        source = self.chain[[*same, False].index(False) - 1]
        origin = source.origin
        name = source.name if origin.file is None else printable(Path(origin.file).name)
        left = origin.base is None and origin.file is None and value == default
        remark = f"({origin.remarks[key]})" if key in origin.remarks else None
        return " ".join(filter(None, [f"[{'default' if left else name}]", meaning, remark]))


def _lines(part: Any, sources: Sources, prefix: str) -> Iterator[str]:
    """The lines of a dataclass, indented by its depth."""
    indent = "  " * prefix.count(".")
    meanings = attribute_texts(type(part))
    for field in dataclasses.fields(part):
        value, key = getattr(part, field.name), f"{prefix}{field.name}"
        begin = f"{indent}{field.name}:"
        if dataclasses.is_dataclass(value):
            if field.compare:
                yield _beside(begin, (inspect.getdoc(type(value)) or "").partition("\n")[0])
                yield from _lines(value, sources, f"{key}.")
            continue
        words = sources.words(key, default=field.default, meaning=meanings.get(field.name))
        text = _yaml(value)
        if len(begin) + 1 + len(text) <= WIDTH:
            yield _beside(f"{begin} {text}", words)
        else:
            yield _beside(begin, words)
            yield textwrap.indent(_yaml(value, WIDTH - len(indent) - 2), f"{indent}  ")


def _beside(line: str, words: str) -> str:
    return f"{line:<{COLUMN}}  # {words}"


def _yaml(value: Any, width: int = 10**9) -> str:
    plain = json.loads(json.dumps(value))  # lists in place of tuples
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=width)
    return text.removesuffix("...\n").rstrip()


def attribute_texts(kind: type) -> dict[str, str]:
    """What a dataclass's docstring says of each attribute, on one line."""
    _, _, attributes = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}
