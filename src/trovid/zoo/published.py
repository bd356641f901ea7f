"""From the name of a published checkpoint to a file that trovid loads."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from trovid.detectors.converting import convert_checkpoint
from trovid.errors import TrovidError, nearest
from trovid.progress import bar
from trovid.recipes import load_recipe, recipe_names
from trovid.storage.tensor_files import save_tensors
from trovid.zoo.registry import BACKBONE, Checkpoint, backbone_checkpoints, checkpoints
from trovid.zoo.weights import embedded_models, load_weights, read_card

CACHE_VARIABLE = "TROVID_CACHE"


def cache_folder() -> Path:
    """Where downloads and converted weights lie: TROVID_CACHE, or the platform's cache folder."""
    import platformdirs

    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("trovid", False)


def download_path(checkpoint: Checkpoint) -> Path:
    """Where the published file belongs, also when it is placed by hand."""
    return cache_folder() / "downloads" / checkpoint.file_name


def torch_hub_path(checkpoint: Checkpoint) -> Path:
    """Where torchvision itself keeps its files."""
    return Path(torch.hub.get_dir()) / "checkpoints" / checkpoint.file_name


def converted_path(checkpoint: Checkpoint) -> Path:
    """Where the converted weights belong."""
    return cache_folder() / "weights" / f"{checkpoint.name}.safetensors"


def place_of(checkpoint: Checkpoint) -> tuple[str, Path | None]:
    """Whether a checkpoint is "converted", "downloaded" or "not here", and its file."""
    places = {"converted": converted_path(checkpoint), "downloaded": download_path(checkpoint)}
    return next(
        ((word, path) for word, path in places.items() if path.exists()), ("not here", None)
    )


def fetch(checkpoint: Checkpoint) -> Path:
    """The published file, downloaded where it is not there, with its hash checked.

    A file that torchvision downloaded before is used where it lies.

    Raises:
        TrovidError: See `trovid.zoo.download.download`.
    """
    from trovid.zoo.download import check_hash, download

    if checkpoint.layout.startswith("torchvision") and not download_path(checkpoint).exists():
        hub_file = torch_hub_path(checkpoint)
        if hub_file.exists():
            check_hash(hub_file, checkpoint.sha256)
            return hub_file
    shown = -1
    with bar(checkpoint.name, unit="MB") as tick:

        def progress(done: int, total: int) -> None:
            nonlocal shown
            if done // 10**6 > shown:
                shown = done // 10**6
                tick(shown, max(done, total) // 10**6)

        return download(
            checkpoint.mirrored_address,
            download_path(checkpoint),
            sha256=checkpoint.sha256,
            size=checkpoint.bytes,
            progress=progress,
        )


def convert_file(
    source: Path, recipe: str, target: Path, *, provenance: dict[str, Any] | None = None
) -> Path:
    """Converts a file of the published layout without executing anything in it.

    Args:
        source: A pickle of tensors, as `torch.save` wrote it.
        recipe: The recipe whose detector it fills, by name or as a file.
        target: The safetensors file to write.
        provenance: What its card says of it beyond name and hash of the file.

    Raises:
        TrovidError: If the file holds anything but tensors or does not fit the recipe.
    """
    tensors, metadata = convert_checkpoint(source, load_recipe(recipe))
    facts = json.loads(metadata.get("facts", "{}"))
    save_tensors(
        target, tensors, {**metadata, "facts": json.dumps({**facts, **(provenance or {})})}
    )
    return target


def published_weights(checkpoint: Checkpoint) -> Path:
    """The converted weights of a published checkpoint; what is missing is fetched and converted.

    Weights that were converted for a recipe which has changed since are converted anew.

    Raises:
        TrovidError: If the file cannot be had or does not fit its recipe.
    """
    from trovid.zoo.download import check_hash

    if checkpoint.layout == BACKBONE:
        raise TrovidError(
            f"{checkpoint.name} is a backbone and needs no conversion: "
            f"trovid train RECIPE --backbone {checkpoint.name}"
        )
    if not checkpoint.has_recipe:
        raise TrovidError(
            f"{checkpoint.name} cannot be converted: there is no recipe {checkpoint.recipe} yet; "
            f"`trovid weights download {checkpoint.name}` fetches the published file"
        )
    target = converted_path(checkpoint)
    if _up_to_date(target, checkpoint):
        return target
    source = fetch(checkpoint)
    with FileLock(f"{_made(target)}.lock"):
        if not _up_to_date(target, checkpoint):
            check_hash(source, checkpoint.sha256)
            provenance = {
                "source": checkpoint.address,
                "licence": checkpoint.licence,
                "published": checkpoint.figure and dataclasses.asdict(checkpoint.figure),
            }
            convert_file(source, checkpoint.recipe, target, provenance=provenance)
    return target


def _made(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrovidError(f"{path.parent}: cannot be made ({error.strerror})") from error
    return path


def _up_to_date(target: Path, checkpoint: Checkpoint) -> bool:
    """Whether weights were converted for the recipe, of which training is no part of a model."""
    if not target.exists():
        return False
    wanted = load_recipe(checkpoint.recipe)
    return dataclasses.replace(read_card(target).recipe, training=wanted.training) == wanted


def verify(checkpoint: Checkpoint) -> list[str]:
    """What is here of a checkpoint, after checking all of it.

    The download's hash is compared; converted weights are loaded into their detector, which
    checks names, shapes and values, and must state the hash of the published file.

    Raises:
        TrovidError: If something is not as it must be.
    """
    from trovid.zoo.download import check_hash

    found = []
    source, target = download_path(checkpoint), converted_path(checkpoint)
    if source.exists():
        digest = check_hash(source, checkpoint.sha256)
        found.append(f"{source}: SHA-256 {digest}, as published")
    if target.exists():
        card = load_weights(target)[1]
        stated = str(card.provenance.get("source_sha256"))
        if not stated.startswith(checkpoint.sha256):
            raise TrovidError(
                f"{target}: states to come from a file with SHA-256 {stated[:8]}, but the "
                f"published one begins with {checkpoint.sha256}; delete it to convert anew"
            )
        found.append(f"{target}: fits {card.recipe.name}, from a file with SHA-256 {stated}")
    return found


def model_file(name_or_path: str | Path) -> Path:
    """The weights file of a model: embedded, published (fetched where needed), or a path.

    Raises:
        TrovidError: If there is no such model or file; the message names the nearest.
    """
    name = str(name_or_path)
    embedded = embedded_models()
    if name in embedded:
        return embedded[name]
    published = checkpoints()
    if name in published:
        return published_weights(published[name])
    path = Path(name_or_path)
    if path.exists():
        return path
    hint = " (a recipe, but its weights are not here)" if name in recipe_names() else ""
    cure = nearest(name, [*embedded, *published], otherwise=f"one of {', '.join(embedded)}, ...")
    raise TrovidError(f"no model {name!r}{hint}: give a file or a name of `trovid models`{cure}")


def backbone_file(name_or_path: str | Path) -> Path:
    """The weights file of a backbone: published (fetched where needed), or a path.

    Raises:
        TrovidError: If there is no such backbone or file, or it cannot be had.
    """
    published = backbone_checkpoints()
    if str(name_or_path) in published:
        return fetch(published[str(name_or_path)])
    path = Path(name_or_path)
    if not path.exists():
        raise TrovidError(
            f"no backbone {str(name_or_path)!r}: give a file or one of {', '.join(published)}"
        )
    return path
