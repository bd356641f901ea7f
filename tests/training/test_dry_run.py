"""One step on made-up frames."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import trovid_command
from tests.training.tiny import tiny_recipe
from trovid.training.dry_run import dry_run


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["synthvid-selsa-troi", "synthvid-masktrack-troi"])
def test_it_trains_a_step_and_leaves_nothing(temporary, name):
    said: list[str] = []
    found = dry_run(tiny_recipe(name, support_frames=2), device="cpu", say=said.append)
    assert ("masks" in found.losses) == ("masktrack" in name)
    assert found.processes == 1
    assert 10**8 < found.peak < 10**11
    assert "a step needs about" in said[0]
    assert str(found).startswith("a step of one process on made-up frames: ")
    assert list(temporary.iterdir()) == []


def test_the_command_needs_no_data(capsys, temporary):
    words = ["train", "synthvid-single", "--dry-run", "--batch", "1", "--device", "cpu"]
    status, out, said = trovid_command(capsys, *words, "--out", temporary / "runs", "--json")
    assert status == 0
    record = json.loads(out)
    assert record["processes"] == 1
    assert record["losses"].keys() == {"rpn_objectness", "rpn_boxes", "class", "boxes"}
    assert any("a step needs about" in line for line in said)
    assert list(temporary.iterdir()) == []
    status, _, said = trovid_command(capsys, *words, "--data", temporary)
    assert status == 2
    assert said == ["trovid: --dry-run takes made-up frames and random weights: give it no data"]
