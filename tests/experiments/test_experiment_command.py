"""`trovid experiment`: what it prints; the trainings themselves take hours and are left out."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import trovid_command
from trovid.experiments import synthvid_data, synthvid_jobs, synthvid_pages, synthvid_report


@pytest.fixture
def nothing_to_train(monkeypatch, tmp_path):
    monkeypatch.setattr(synthvid_data, "synthvid_folder", lambda out, **sizes: out / "data")
    monkeypatch.setattr(synthvid_jobs, "run_trainings", lambda *args, **options: None)
    monkeypatch.setattr(synthvid_jobs, "training_records", lambda out, seeds: [])
    monkeypatch.setattr(synthvid_jobs, "run_scores", lambda *args, **options: None)
    monkeypatch.setattr(synthvid_report, "synthvid_report", lambda *args, **options: {"clips": 2})
    monkeypatch.setattr(synthvid_pages, "write_report", lambda result, folder: "# A report")


def test_figures_as_json(capsys, tmp_path, nothing_to_train):
    words = ["experiment", "synthvid", "--out", tmp_path, "--every", "6"]
    status, out, complaints = trovid_command(capsys, *words, "--json")
    assert (status, complaints) == (0, [])
    said = json.loads(out)
    assert (said["clips"], said["every"], said["embedded"]) == (2, 6, [])
    assert said["report"] == str(tmp_path / "report")
    status, out, _ = trovid_command(capsys, *words)
    assert status == 0
    assert "A report" in out


def test_a_device_that_is_not_there_is_said_at_once(capsys, tmp_path):
    words = ["--out", tmp_path, "--device", "abacus"]
    for command in (["experiment"], ["train", "synthvid-single"]):
        status, _, complaints = trovid_command(capsys, *command, *words)
        assert (status, len(complaints)) == (2, 1)
        assert "device 'abacus' cannot be used: the devices are auto, cpu, cuda" in complaints[0]
    assert list(tmp_path.iterdir()) == []
