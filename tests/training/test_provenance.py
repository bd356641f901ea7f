"""What a card says of a training."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from trovid.training import provenance as module
from trovid.training.provenance import commit, machine, training_provenance


def test_seed_time_machine_and_versions():
    provenance = training_provenance(seed=3, seconds=90, device="cpu", processor_seconds=60)
    assert (provenance["seed"], provenance["minutes"], provenance["torch"]) == (
        3,
        1.5,
        torch.__version__,
    )
    assert provenance["processor_minutes"] == 1
    assert 50 < provenance["memory_mb"] < 10**6
    assert "processor_minutes" not in training_provenance(seed=3, seconds=90, device="cpu")
    assert datetime.now(UTC) >= datetime.fromisoformat(provenance["finished"])
    assert provenance["machine"] == machine("cpu")
    assert provenance["machine"].endswith(f"{torch.get_num_threads()} threads")


def test_the_commit_is_that_of_the_source_tree():
    root = Path(module.__file__).parents[3]
    if not (root / ".git").exists():
        pytest.skip("not a git checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    assert head.stdout.startswith(commit())
    assert len(commit()) == 12


def test_without_git_the_commit_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit() == "unknown"
