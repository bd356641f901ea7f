"""Checkpoints that others published: where they are, what they are, what was said of them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from trovid.bounded_yaml import read_values
from trovid.errors import TrovidError, printable
from trovid.recipes import recipe_names

MIRROR_VARIABLE = "TROVID_MIRROR"
OWN_VARIABLE = "TROVID_CHECKPOINTS"
BACKBONE = "torchvision-backbone"
"""The layout of a backbone alone."""
LAYOUTS = ("mmtracking", "torchvision", BACKBONE)


@dataclass(frozen=True)
class Figure:
    """A published figure.

    Attributes:
        data: What it was measured on.
        metric: Its name.
        value: In per cent.
    """

    data: str
    metric: str
    value: float

    def __str__(self) -> str:
        return f"{self.metric} {self.value} ({self.data})"


@dataclass(frozen=True)
class Checkpoint:
    """One published file of weights.

    Attributes:
        name: What trovid calls it.
        address: Where the publisher keeps it.
        sha256: First hexadecimal digits of its SHA-256.
        bytes: Its size where the publisher states it.
        licence: SPDX identifier.
        layout: How its tensors are named, which decides how it is converted.
        recipe: The recipe whose detector it fills, by name or as a file; of a backbone its name in
            recipes.
        figure: What the publisher measured, where it was stated.
    """

    name: str
    address: str
    sha256: str
    bytes: int | None
    licence: str
    layout: str
    recipe: str
    figure: Figure | None

    @property
    def file_name(self) -> str:
        """The file's own name."""
        return self.address.rpartition("/")[2]

    @property
    def has_recipe(self) -> bool:
        """Whether its recipe is there, so that it can be converted."""
        return self.recipe in recipe_names() or Path(self.recipe).is_file()

    @property
    def mirrored_address(self) -> str:
        """The address to download from: scheme and host are those of TROVID_MIRROR, where set.

        Example:
            >>> os.environ["TROVID_MIRROR"] = "http://mirror.example/files/"
            >>> checkpoints()["selsa-r50-vid"].mirrored_address[:46]
            'http://mirror.example/files/mmtracking/vid/sel'
            >>> del os.environ["TROVID_MIRROR"]
        """
        mirror = os.environ.get(MIRROR_VARIABLE, "").rstrip("/")
        if not mirror:
            return self.address
        return mirror + urlunsplit(("", "", *urlsplit(self.address)[2:]))


def checkpoints() -> dict[str, Checkpoint]:
    """All published checkpoints of detectors by name: trovid's list, then one's own.

    Raises:
        TrovidError: If the file that TROVID_CHECKPOINTS names cannot be read.
    """
    additions = {name: c for name, c in _own().items() if c.layout != BACKBONE}
    return {**_read("checkpoints.yaml"), **additions}


def backbone_checkpoints() -> dict[str, Checkpoint]:
    """Published backbones that a training may start from, by name: trovid's list, then one's own.

    Raises:
        TrovidError: If the file that TROVID_CHECKPOINTS names cannot be read.
    """
    additions = {name: c for name, c in _own().items() if c.layout == BACKBONE}
    return {**_read("backbones.yaml"), **additions}


@cache
def _read(file_name: str) -> dict[str, Checkpoint]:
    file = resources.files("trovid.zoo") / file_name
    entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {name: _checkpoint(name, values) for name, values in entries.items()}


def _own() -> dict[str, Checkpoint]:
    """What the file of TROVID_CHECKPOINTS lists; a recipe's file is named from its folder."""
    chosen = os.environ.get(OWN_VARIABLE)
    if not chosen:
        return {}
    file = Path(chosen).expanduser()
    try:
        entries = read_values(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise TrovidError(f"{file} ({OWN_VARIABLE}): cannot be read ({error})") from error
    found = {}
    for name, values in entries.items() if isinstance(entries, dict) else [("", {})]:
        try:
            checkpoint = _checkpoint(name, values)
        except (AttributeError, TypeError, KeyError, ValueError):
            checkpoint = None
        if checkpoint is None or not _is_whole(checkpoint):
            raise TrovidError(
                f"{file} ({OWN_VARIABLE}): {printable(str(name))!r} must be a plain name with "
                "address, sha256, bytes, licence, layout, recipe and figure, digits in quotes "
                "(docs/weights.md)"
            )
        recipe = file.parent / checkpoint.recipe
        found[name] = replace(checkpoint, recipe=str(recipe)) if recipe.is_file() else checkpoint
    return found


def _is_whole(checkpoint: Checkpoint) -> bool:
    words = (checkpoint.name, checkpoint.address, checkpoint.licence, checkpoint.recipe)
    return (
        all(isinstance(word, str) for word in (*words, checkpoint.sha256, checkpoint.layout))
        and re.fullmatch(r"[\w.+-]+", checkpoint.name) is not None
        and re.fullmatch(r"[0-9a-f]+", checkpoint.sha256) is not None
        and checkpoint.layout in LAYOUTS
    )


def _checkpoint(name: str, values: dict[str, Any]) -> Checkpoint:
    values = dict(values)
    figure = values.pop("figure")
    return Checkpoint(name=name, figure=figure and Figure(**figure), **values)
