"""Records of clips on the disk, which say what they were made with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trovid.errors import TrovidError
from trovid.experiments.markdown import written
from trovid.storage.hashes import sha256_of


def write_records(
    file: Path, clips: Mapping[str, Iterable[tuple[Any, ...]]], *, weights: Path, every: int
) -> None:
    """Writes one list of records a clip, in folders that need not be there.

    Args:
        file: Where to.
        clips: By clip its records.
        weights: The model that they were made with.
        every: Every how many frames was a target frame.
    """
    records = {name: list(map(list, found)) for name, found in clips.items()}
    made = {"weights": sha256_of(weights), "every": every, "clips": records}
    file.parent.mkdir(parents=True, exist_ok=True)
    written(file, json.dumps(made) + "\n")


def read_records(file: Path, *, weights: Path, every: int) -> dict[str, list[list[Any]]]:
    """By clip the records of a file.

    Args:
        file: What `write_records` wrote.
        weights: The model that they are asked of.
        every: Every how many frames is a target frame.

    Raises:
        TrovidError: If they were made with another model or of other frames, or do not say so.
    """
    made = json.loads(file.read_text(encoding="utf-8"))
    if (made.get("weights"), made.get("every")) != (sha256_of(weights), every):
        raise TrovidError(
            f"{file} was made with other weights or other frames than are asked for: delete "
            "it and run the experiment again"
        )
    return made["clips"]
