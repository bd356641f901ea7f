"""What models there are, and what is known of each: the model cards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trovid.errors import TrovidError, nearest, printable, shortened
from trovid.recipes import load_recipe
from trovid.zoo.published import place_of
from trovid.zoo.registry import Checkpoint, checkpoints
from trovid.zoo.weights import embedded_models, read_card


@dataclass(frozen=True)
class CatalogueEntry:
    """A model that `trovid.load` takes.

    Attributes:
        name: Its name, or the file's.
        classes: Names of its classes; empty where they are not known here.
        recipe: Name of its recipe.
        figures: What was measured and on what.
        licence: SPDX identifier, or "not stated".
        source: Where the weights come from.
        place: Where they are: embedded, converted, downloaded, or not here.
        file: The file, where there is one here.
    """

    name: str
    classes: tuple[str, ...]
    recipe: str
    figures: str
    licence: str
    source: str
    place: str
    file: Path | None


def catalogue() -> list[CatalogueEntry]:
    """All models that have a name: embedded ones, then published ones."""
    embedded = [_of_file(path, "embedded") for path in embedded_models().values()]
    return embedded + [_of_checkpoint(checkpoint) for checkpoint in checkpoints().values()]


def catalogue_entry(name_or_path: str) -> CatalogueEntry:
    """One model, by name or as a file.

    Raises:
        TrovidError: If there is no such model, or the file carries no recipe.
    """
    entries = {entry.name: entry for entry in catalogue()}
    if name_or_path in entries:
        return entries[name_or_path]
    if Path(name_or_path).is_file():
        return _of_file(Path(name_or_path), "a file")
    hint = nearest(name_or_path, entries, otherwise="`trovid models` lists them")
    raise TrovidError(f"no model {name_or_path!r}{hint}")


def _of_file(path: Path, place: str) -> CatalogueEntry:
    card = read_card(path)
    return CatalogueEntry(
        name=path.stem if place == "embedded" else str(path),
        classes=card.recipe.model.classes,
        recipe=card.recipe.name,
        figures=_figures(card.provenance),
        licence=_text(
            card.provenance.get("licence", "Apache-2.0" if place == "embedded" else "not stated")
        ),
        source=_source(card.provenance),
        place=place,
        file=path,
    )


def _of_checkpoint(checkpoint: Checkpoint) -> CatalogueEntry:
    place, file = place_of(checkpoint)
    known = checkpoint.has_recipe
    return CatalogueEntry(
        name=checkpoint.name,
        classes=load_recipe(checkpoint.recipe).model.classes if known else (),
        recipe=checkpoint.recipe if known else f"{checkpoint.recipe} (not there yet)",
        figures="none stated" if checkpoint.figure is None else f"{checkpoint.figure}, published",
        licence=checkpoint.licence,
        source=checkpoint.address,
        place=place,
        file=file,
    )


def _figures(provenance: dict[str, Any]) -> str:
    if "test_ap50" in provenance:
        groups = ", ".join(
            f"{_text(name)} {100 * value:.1f}" for name, value in provenance["test_ap50"].items()
        )
        clips = provenance.get("test_clips")
        return f"AP50 {groups}" + (f" ({clips} test clips of {_data(provenance)})" if clips else "")
    if "test_track_ap" in provenance:
        scores = provenance["test_track_ap"]
        seen = [name for name in scores if name.startswith("visible")]
        values = ", ".join(
            f"{'amodal ' if seen and name not in seen else ''}{_text(name)} {100 * value:.1f}"
            for name, value in scores.items()
        )
        clips = provenance.get("test_clips")
        return f"{values} of tracks ({clips} test clips of {_data(provenance)})"
    if "val_ap50" in provenance:
        return f"AP50 {100 * provenance['val_ap50']:.1f} (validation clips of {_data(provenance)})"
    published = provenance.get("published")
    if published:
        metric, value, data = (_text(published.get(k, "?")) for k in ("metric", "value", "data"))
        return f"{metric} {value} ({data}), published"
    return "none stated"


def _data(provenance: dict[str, Any]) -> str:
    return _text((provenance.get("data") or {}).get("name", "its data"))


def _source(provenance: dict[str, Any]) -> str:
    if "source" in provenance:
        digest, source = _text(provenance.get("source_sha256", "")), _text(provenance["source"])
        return f"{source} (SHA-256 {digest})" if digest else source
    if "seed" in provenance:
        return (
            f"trained by `trovid train`, seed {provenance['seed']}, "
            f"{provenance.get('minutes')} minutes on "
            f"{_text(provenance.get('machine'))}, commit {_text(provenance.get('commit'))}"
        )
    return "not stated"


def _text(value: Any) -> str:
    """What a card says, as text that can be shown."""
    return printable(value[:300]) if isinstance(value, str) else shortened(value)
