"""Checkpoints that others published: where they are, what they are, what was said of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib import resources
from urllib.parse import urlsplit, urlunsplit

import yaml

MIRROR_VARIABLE = "TROVID_MIRROR"


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
        recipe: The recipe whose detector it fills; of a backbone its name in recipes.
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


@cache
def checkpoints() -> dict[str, Checkpoint]:
    """All published checkpoints of detectors by name, in the order of checkpoints.yaml."""
    return _read("checkpoints.yaml")


@cache
def backbone_checkpoints() -> dict[str, Checkpoint]:
    """Published backbones that a training may start from, by name."""
    return _read("backbones.yaml")


def _read(file_name: str) -> dict[str, Checkpoint]:
    file = resources.files("trovid.zoo") / file_name
    entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {name: _checkpoint(name, values) for name, values in entries.items()}


def _checkpoint(name: str, values: dict) -> Checkpoint:
    figure = values.pop("figure")
    return Checkpoint(name=name, figure=figure and Figure(**figure), **values)
