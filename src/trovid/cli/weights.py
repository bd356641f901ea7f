"""`trovid weights`: published weights, from their address to a file that trovid loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from trovid.cli.columns import print_columns
from trovid.cli.messages import print_record
from trovid.cli.names import RecipeName, WeightsName, WeightsSource
from trovid.errors import TrovidError, nearest

if TYPE_CHECKING:
    from trovid.zoo.registry import Checkpoint

weights = cyclopts.App(
    name="weights",
    help="Published weights: list, download, convert, verify, where.",
    help_epilogue="Examples:\n"
    "    trovid weights list\n"
    "    trovid weights download selsa-troi-r101-vid\n"
    "    trovid weights where",
    help_format="plaintext",
)


def _chosen(names: Sequence[str]) -> list[Checkpoint]:
    """The checkpoints of these names; all of them for no name."""
    from trovid.zoo.registry import backbone_checkpoints, checkpoints

    known = {**checkpoints(), **backbone_checkpoints()}
    for name in names:
        if name not in known:
            raise TrovidError(f"no published weights {name!r}{nearest(name, known)}")
    return [known[name] for name in names or known]


@weights.command(name="list")
def list_(*, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """List published weights, detectors and backbones: figure, licence, what of them is here.

    Examples:
        trovid weights list

    Args:
        json: Print the list as JSON.
    """
    from trovid.zoo.published import place_of

    head = ["name", "published", "licence", "here"]
    rows = [[c.name, str(c.figure or "not stated"), c.licence, place_of(c)[0]] for c in _chosen([])]
    if json:
        print_record([dict(zip(head, row, strict=True)) for row in rows])
    else:
        print_columns(head, rows)


@weights.command
def download(*names: WeightsName, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Download published weights and check their hash; a broken transfer is resumed.

    Examples:
        trovid weights download selsa-troi-r101-vid
        TROVID_MIRROR=https://mirror.example trovid weights download selsa-r50-vid

    Args:
        names: Names that `trovid weights list` shows.
        json: Print the files as JSON.
    """
    from trovid.zoo.published import fetch

    if not names:
        raise TrovidError("weights download: name at least one of `trovid weights list`")
    files = {}
    for checkpoint in _chosen(names):
        files[checkpoint.name] = str(fetch(checkpoint))
        if not json:
            print(files[checkpoint.name])
    if json:
        print_record(files)


@weights.command
def convert(
    source: WeightsSource,
    /,
    *,
    recipe: RecipeName | None = None,
    out: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Convert weights of the published layout to safetensors; nothing in them is executed.

    Examples:
        trovid weights convert selsa-troi-r101-vid
        trovid weights convert mine.pth --recipe mmtracking/selsa-r50

    Args:
        source: A name that `trovid weights list` shows (fetched where needed), or a file.
        recipe: The recipe that a file belongs to.
        out: Where a file's result goes; by default beside it.
        json: Print the file as JSON.
    """
    from trovid.zoo.published import convert_file, published_weights
    from trovid.zoo.registry import checkpoints

    name, file = str(source), Path(source)
    if not file.exists() or name in checkpoints():
        (checkpoint,) = _chosen([name])
        if recipe is not None or out is not None:
            raise TrovidError(f"--recipe and --out go with a file; {source} has its own")
        _print_file(published_weights(checkpoint), json)
        return
    if recipe is None:
        raise TrovidError(f"{file}: say by --recipe which model it belongs to (`trovid recipes`)")
    target = out or file.with_suffix(".safetensors")
    _print_file(convert_file(file, recipe, target), json)


def _print_file(file: Path, json: bool) -> None:
    if json:
        print_record({"file": str(file)})
    else:
        print(file)


@weights.command
def verify(*names: WeightsName, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Check what is here: hashes of downloads, names, shapes and values of converted weights.

    Examples:
        trovid weights verify
        trovid weights verify selsa-troi-r101-vid

    Args:
        names: Names that `trovid weights list` shows; by default everything that is here.
        json: Print what was found as JSON.
    """
    from trovid.zoo.published import verify as verified

    found = {}
    for checkpoint in _chosen(names):
        lines = verified(checkpoint)
        if names and not lines:
            raise TrovidError(f"{checkpoint.name} is not here: see `trovid weights download`")
        for line in () if json else lines:
            print(line)
        found |= {checkpoint.name: lines} if lines else {}
    if json:
        print_record(found)
    elif not found:
        print("no published weights are here")


@weights.command
def where(
    name: WeightsName | None = None, /, *, json: Annotated[bool, Parameter(negative="")] = False
) -> None:
    """Say where weights lie: the cache folder, or the places of one model.

    The environment variable TROVID_CACHE moves the folder. A download that was fetched elsewhere
    is found when it lies at the place named here.

    Examples:
        trovid weights where
        trovid weights where selsa-troi-r101-vid

    Args:
        name: A name that `trovid weights list` shows.
        json: Print it as JSON.
    """
    from trovid.zoo.published import cache_folder, converted_path, download_path

    if name is None:
        places = {"folder": str(cache_folder())}
    else:
        (checkpoint,) = _chosen([name])
        places = {
            "address": checkpoint.mirrored_address,
            "download": str(download_path(checkpoint)),
            "converted": str(converted_path(checkpoint)),
        }
    if json:
        print_record(places)
    elif name is None:
        print(places["folder"])
    else:
        for key, place in places.items():
            print(f"{key:9}  {place}")
