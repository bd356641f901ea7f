"""`trovid weights`: published weights, from their address to a file that trovid loads."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cyclopts

from trovid.cli.columns import print_columns
from trovid.errors import TrovidError

if TYPE_CHECKING:
    from trovid.models.registry import Checkpoint

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
    from trovid.models.registry import backbone_checkpoints, checkpoints

    known = {**checkpoints(), **backbone_checkpoints()}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`trovid weights list` names them"
            raise TrovidError(f"no published weights {name!r}; {hint}")
    return [known[name] for name in names or known]


@weights.command(name="list")
def list_() -> None:
    """List published weights, detectors and backbones: figure, licence, what of them is here."""
    from trovid.models.published import place_of

    print_columns(
        ["name", "published", "licence", "here"],
        ([c.name, str(c.figure or "not stated"), c.licence, place_of(c)[0]] for c in _chosen([])),
    )


@weights.command
def download(*names: str) -> None:
    """Download published weights and check their hash; a broken transfer is resumed.

    Examples:
        trovid weights download selsa-troi-r101-vid
        TROVID_MIRROR=https://mirror.example trovid weights download selsa-r50-vid

    Args:
        names: Names that `trovid weights list` shows.
    """
    from trovid.models.published import fetch

    if not names:
        raise TrovidError("weights download: name at least one of `trovid weights list`")
    for checkpoint in _chosen(names):
        print(fetch(checkpoint))


@weights.command
def convert(source: str, /, *, recipe: str | None = None, out: Path | None = None) -> None:
    """Convert weights of the published layout to safetensors; nothing in them is executed.

    Examples:
        trovid weights convert selsa-troi-r101-vid
        trovid weights convert mine.pth --recipe mmtracking/selsa-r50 --out mine.safetensors

    Args:
        source: A name that `trovid weights list` shows (fetched where needed), or a file.
        recipe: The recipe that a file belongs to.
        out: Where a file's result goes; by default beside it.
    """
    from trovid.models.published import convert_file, published_weights
    from trovid.models.registry import checkpoints

    file = Path(source)
    if not file.exists() or source in checkpoints():
        (checkpoint,) = _chosen([source])
        if recipe is not None or out is not None:
            raise TrovidError(f"--recipe and --out go with a file; {source} has its own")
        print(published_weights(checkpoint))
        return
    if recipe is None:
        raise TrovidError(f"{file}: say by --recipe which model it belongs to (`trovid recipes`)")
    target = out or file.with_suffix(".safetensors")
    print(convert_file(file, recipe, target))


@weights.command
def verify(*names: str) -> None:
    """Check what is here: hashes of downloads, names, shapes and values of converted weights.

    Args:
        names: Names that `trovid weights list` shows; by default everything that is here.
    """
    from trovid.models.published import verify as verified

    found = 0
    for checkpoint in _chosen(names):
        lines = verified(checkpoint)
        if names and not lines:
            raise TrovidError(f"{checkpoint.name} is not here: see `trovid weights download`")
        for line in lines:
            print(line)
        found += len(lines)
    if not found:
        print("no published weights are here")


@weights.command
def where(name: str | None = None) -> None:
    """Say where weights lie: the cache folder, or the places of one model.

    The environment variable TROVID_CACHE moves the folder. A download that was fetched elsewhere
    is found when it lies at the place named here.

    Args:
        name: A name that `trovid weights list` shows.
    """
    from trovid.models.published import cache_folder, converted_path, download_path

    if name is None:
        print(cache_folder())
        return
    (checkpoint,) = _chosen([name])
    print(f"address    {checkpoint.mirrored_address}")
    print(f"download   {download_path(checkpoint)}")
    print(f"converted  {converted_path(checkpoint)}")
