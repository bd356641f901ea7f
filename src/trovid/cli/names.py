"""What the Tab key offers where a model, a recipe, weights or a device is named.

Nothing here imports torch, which takes longer than anybody waits for the Tab key.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.completion import CompletionContext

Completer = Callable[[CompletionContext], list[str]]


def _package() -> Path:
    return Path(str(resources.files("trovid"))) / "zoo"


def _published(list_name: str) -> list[str]:
    import yaml

    return [*yaml.safe_load((_package() / list_name).read_text(encoding="utf-8"))]


def recipe_names() -> list[str]:
    """Names of the recipes that `trovid recipes` lists."""
    from trovid import recipes

    return recipes.recipe_names()


def _files(beginning: str, suffixes: tuple[str, ...]) -> list[str]:
    """Files with these suffixes, and folders on the way to them, that begin so."""
    folder, _, name = beginning.rpartition("/")
    place = f"{folder}/" if "/" in beginning else ""
    try:
        entries = sorted(os.scandir(Path(place or ".").expanduser()), key=lambda entry: entry.name)
    except OSError:
        return []
    shown = (e for e in entries if e.name.startswith(name) and not e.name.startswith("."))
    return [
        f"{place}{entry.name}" + ("/" if entry.is_dir() else "")
        for entry in shown
        if entry.is_dir() or entry.name.endswith(suffixes)
    ]


def _completer(names: Callable[[], list[str]], *suffixes: str) -> Completer:
    def candidates(context: CompletionContext) -> list[str]:
        beginning = context.incomplete
        return names() + (_files(beginning, suffixes) if suffixes else [])

    return candidates


def model_names() -> list[str]:
    """Names of the models that `trovid models` lists."""
    embedded = [path.stem for path in sorted((_package() / "embedded").glob("*.safetensors"))]
    return embedded + _published("checkpoints.yaml")


def weights_names() -> list[str]:
    """Names of the weights that `trovid weights list` lists."""
    return _published("checkpoints.yaml") + _published("backbones.yaml")


ModelName = Annotated[str, Parameter(completer=_completer(model_names, ".safetensors"))]
StartName = Annotated[Path, Parameter(completer=_completer(model_names, ".safetensors"))]
BackboneName = Annotated[
    str,
    Parameter(
        completer=_completer(lambda: _published("backbones.yaml"), ".safetensors", ".pth", ".pt")
    ),
]
RecipeName = Annotated[str, Parameter(completer=_completer(recipe_names, ".yaml", ".yml"))]
WeightsName = Annotated[str, Parameter(completer=_completer(weights_names))]
WeightsSource = Annotated[
    str, Parameter(completer=_completer(lambda: _published("checkpoints.yaml"), ".pth", ".pt"))
]
DeviceName = Annotated[str, Parameter(completer=_completer(lambda: ["auto", "cpu", "cuda", "mps"]))]
