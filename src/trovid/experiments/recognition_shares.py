"""The shares of each sequence, kept with what decides them: a run that was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trovid.experiments.lite0 import Lite0
from trovid.experiments.markdown import written
from trovid.experiments.premise import MaskedSequence
from trovid.experiments.recognition import SUPPORT, TARGETS, SequenceMaps, Setting, recognised
from trovid.experiments.recognition_classes import GROUPS, SEQUENCES
from trovid.nn.extractors import TemporalRoIAlign
from trovid.progress import bar

Shares = dict[str, dict[str, dict[str, float]]]
"""By sequence, damage and setting."""


def measured_shares(
    network: Lite0,
    everything: Mapping[str, MaskedSequence],
    names: Sequence[str],
    kinds: Sequence[str],
    settings: Sequence[Setting],
    trained: Mapping[Setting, TemporalRoIAlign],
    *,
    folder: Path,
    weights: Mapping[str, str],
) -> Shares:
    """The shares of some sequences; of those that were measured in the same way what is kept.

    Args:
        network: Maps and head.
        everything: All sequences by name.
        names: Those that are measured.
        kinds: Damages, "clean" too.
        settings: What is compared.
        trained: See `recognised`.
        folder: Where the shares are kept, one file a sequence.
        weights: SHA-256 of the network's file and of each trained embedding's, by file name.
    """
    said = {
        "weights": dict(weights),
        "settings": [asdict(setting) for setting in settings],
        "damages": list(kinds),
        "targets": TARGETS,
        "support": SUPPORT,
    }
    shares = {}
    with bar(f"recognition, {len(settings)} settings", unit="sequences") as tick:
        for number, name in enumerate(names):
            stranger = _stranger(name, [*names[number + 1 :], *names[:number]])
            of = {
                **said,
                "classes": list(GROUPS[SEQUENCES[name]]),
                "frames": {one: everything[one].digest() for one in (name, stranger)},
            }
            file = folder / f"{name}.json"
            found = _kept(file, of)
            if found is None:
                maps, other = (SequenceMaps(network, everything[one]) for one in (name, stranger))
                found = recognised(maps, other, kinds, settings, trained)
                folder.mkdir(parents=True, exist_ok=True)
                written(file, json.dumps({"of": of, "shares": found}) + "\n")
            shares[name] = found
            tick(number + 1, len(names), name)
    return shares


def _kept(file: Path, of: dict[str, Any]) -> dict[str, dict[str, float]] | None:
    if not file.exists():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    return found["shares"] if found["of"] == of else None


def _stranger(name: str, others: Sequence[str]) -> str:
    """The next sequence of another group."""
    unlike = [one for one in others if SEQUENCES[one] != SEQUENCES[name]]
    return (unlike or [name])[0]
