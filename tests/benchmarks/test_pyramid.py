"""`trovid bench pyramid`: RoI features beside the backbone, checked in the same run."""

from __future__ import annotations

import json

import pytest

from trovid.benchmarks import pyramid
from trovid.cli.main import main

WORDS = ("--rois", "12", "--frames", "2", "--size", "96", "160", "--threads", "1", "--rounds", "2")
WORDS += ("--no-memory",)


pytestmark = pytest.mark.usefixtures("one_thread")


def run(tmp_path, *words):
    with pytest.raises(SystemExit) as exited:
        main(["bench", "pyramid", *words, "--out", str(tmp_path)])
    return exited.value.code


def test_a_small_run(tmp_path, capsys):
    assert run(tmp_path, *WORDS, "--folder", str(tmp_path / "page")) == 0
    assert "plain backbones" in capsys.readouterr().out
    page = (tmp_path / "page" / "report.md").read_text()
    assert "frame of 96x160" in page
    assert "Temporal RoI Align, coarse to fine" in page
    assert "Peak memory" not in page
    (record,) = json.loads((tmp_path / "pyramid.json").read_text())["records"]
    assert sum(record["rois_by_level"].values()) == 12
    assert record["maps_by_level"]["p2"] == [24, 40]
    assert record["ratio"] > 0
    assert record["agreement"]["p2"]["passed"]
    assert record["agreement"]["p2"]["coarse_passed"]
    assert 0 < record["agreement"]["p2"]["coarse_cells_found"] < 1
    assert json.loads((tmp_path / "page" / "report.json").read_text()) == {"records": [record]}


def test_wrong_features_give_status_1(tmp_path, capsys, monkeypatch):
    other = pyramid.TemporalRoIAlign

    def plain_average(*words, **named):
        return other(*words, **{**named, "top_k": 1})

    monkeypatch.setattr(pyramid, "TemporalRoIAlign", plain_average)
    assert run(tmp_path, *WORDS, "--folder", str(tmp_path / "page")) == 1
    assert "WRONG RESULT" in capsys.readouterr().out
    assert "WRONG" in (tmp_path / "page" / "report.md").read_text()


def test_a_wrong_search_coarse_to_fine_gives_status_1(tmp_path, capsys, monkeypatch):
    other = pyramid.TemporalRoIAlign

    def exact_alone(*words, **named):
        return other(*words, **{**named, "search": "exact"})

    monkeypatch.setattr(pyramid, "TemporalRoIAlign", exact_alone)
    assert run(tmp_path, *WORDS) == 1
    (record,) = json.loads((tmp_path / "pyramid.json").read_text())["records"]
    assert record["agreement"]["p2"]["passed"]
    assert not record["agreement"]["p2"]["coarse_passed"]
    assert "WRONG RESULT" in capsys.readouterr().out


@pytest.mark.slow
def test_no_similarity_volume_is_kept_in_inference_and_in_training(tmp_path, capsys):
    words = ("--rois", "100", "--frames", "4", "--size", "192", "320", "--maps", "random")
    words += ("--threads", "1", "--rounds", "1", "--seconds", "0")
    assert run(tmp_path, *words, "--folder", str(tmp_path / "page")) == 0
    assert "a volume of all similarities" in " ".join(capsys.readouterr().out.split())
    assert "Peak memory" in (tmp_path / "page" / "report.md").read_text()
    (record,) = json.loads((tmp_path / "pyramid.json").read_text())["records"]
    memory, counts = record["peak_memory"], record["rois_by_level"]
    cells = sum(
        counts[name] * height * width for name, (height, width) in record["maps_by_level"].items()
    )
    assert memory["similarity_volume"] == 4 * 4 * 49 * cells
    assert 0 < memory["forward"] < memory["similarity_volume"] / 2
    assert memory["forward"] < memory["forward_backward"] < memory["similarity_volume"]


@pytest.mark.parametrize("option", ["--rois", "--frames", "--rounds"])
def test_nothing_to_measure_is_one_line(tmp_path, capsys, option):
    assert run(tmp_path, option, "0") == 2
    assert "must be at least 1" in capsys.readouterr().err
