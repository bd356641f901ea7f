"""The list of published checkpoints, and where their files are taken from and kept."""

from __future__ import annotations

import re

import pytest

from tests.shared import SHARED
from trovid.zoo.published import cache_folder, converted_path, download_path
from trovid.zoo.registry import checkpoints

LIST = SHARED / "paper" / "weights.md"


@pytest.mark.parametrize("checkpoint", checkpoints().values(), ids=lambda c: c.name)
def test_entries_are_whole(checkpoint):
    assert re.fullmatch(r"[0-9a-f]{8}", checkpoint.sha256)
    assert checkpoint.file_name.endswith(f"-{checkpoint.sha256}.pth")
    assert checkpoint.address.startswith("https://")
    assert checkpoint.licence in ("Apache-2.0", "BSD-3-Clause")
    assert checkpoint.figure is None or 20 < checkpoint.figure.value < 90


@pytest.mark.skipif(not LIST.exists(), reason="the list of published checkpoints is not here")
def test_every_published_checkpoint_is_listed():
    lines = LIST.read_text().splitlines()
    base = next(line.split()[-1] for line in lines if line.startswith("Base address"))
    published = {base + line for line in lines if line.endswith(".pth")}
    assert len(published) == 12
    assert published == {c.address for c in checkpoints().values() if c.layout == "mmtracking"}


def test_the_environment_moves_cache_and_mirror(tmp_path, monkeypatch):
    checkpoint = checkpoints()["selsa-troi-r101-vid"]
    monkeypatch.setenv("TROVID_CACHE", str(tmp_path))
    monkeypatch.setenv("TROVID_MIRROR", "http://localhost:8000/m/")
    assert download_path(checkpoint) == tmp_path / "downloads" / checkpoint.file_name
    assert converted_path(checkpoint).parent == tmp_path / "weights"
    tail = checkpoint.address.removeprefix("https://download.openmmlab.com")
    assert checkpoint.mirrored_address == "http://localhost:8000/m" + tail
    monkeypatch.delenv("TROVID_MIRROR")
    assert checkpoint.mirrored_address == checkpoint.address


def test_the_cache_follows_the_platform(tmp_path, monkeypatch):
    monkeypatch.delenv("TROVID_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "trovid"
    assert not cache_folder().exists()
