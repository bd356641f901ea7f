"""Checkpoints that a test has made, in the file that TROVID_CHECKPOINTS names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from trovid.zoo.registry import Checkpoint


def list_checkpoints(folder: Path, monkeypatch: pytest.MonkeyPatch, *listed: Checkpoint) -> None:
    """From now on they are known beside those of trovid's own list."""
    entries = {checkpoint.name: dataclasses.asdict(checkpoint) for checkpoint in listed}
    for entry in entries.values():
        del entry["name"]
    file = folder / "checkpoints.yaml"
    file.write_text(json.dumps(entries))
    monkeypatch.setenv("TROVID_CHECKPOINTS", str(file))
