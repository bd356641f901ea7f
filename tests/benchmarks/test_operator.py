import json

import numpy as np
import pytest
import torch
import torchvision

from trovid import ops
from trovid.benchmarks import operator_cases
from trovid.benchmarks.flops import equation_flops, factored_flops
from trovid.benchmarks.inputs import OperatorSize
from trovid.benchmarks.operator import Settings, run_operator
from trovid.benchmarks.operator_report import (
    backend_words,
    error_words,
    report_markdown,
    search_words,
)
from trovid.cli.main import main

PAPER = OperatorSize()


pytestmark = pytest.mark.usefixtures("one_thread")


def run(*words):
    with pytest.raises(SystemExit) as exited:
        main(["bench", *words])
    return exited.value.code


@pytest.mark.parametrize(
    "cases",
    [
        ["training-dense"],
        pytest.param(["forward-grouped", "memory-forward-grouped"], marks=pytest.mark.slow),
    ],
    ids="-".join,
)
def test_quick_run_and_report(tmp_path, capsys, cases):
    words = ["operator", *cases, "--quick", "--threads", "1", "--rounds", "2", "--seconds", "0"]
    words += ["--backend", "direct"]
    assert run(*words, "--out", str(tmp_path)) == 0
    captured = capsys.readouterr()
    assert f"{len(cases)} cases, at most about" in captured.out
    assert "backend direct" in captured.out
    path = tmp_path / "quick-operator.json"
    records = json.loads(path.read_text())["records"]
    assert [record["case"] for record in records] == cases
    for record in records:
        assert record["machine"]["threads"] == 1
        assert record["machine"]["torch"] == torch.__version__
        if record["kind"] == "time":
            assert record["agreement"]["passed"]
            assert set(record["seconds"]) == {"rival", "trovid"}
            assert len(record["seconds"]["trovid"]) == 2
            assert record["search"] is None
            assert search_words(record) == "-"
        else:
            assert min(record["extra_bytes"].values()) > 0

    path.rename(tmp_path / "operator.json")
    folder = tmp_path / "report"
    assert run("report", "--out", str(tmp_path), "--folder", str(folder)) == 0
    assert sorted(file.name for file in folder.iterdir()) == [
        "report.json",
        "report.md",
        "report.png",
    ]
    page = (folder / "report.md").read_text()
    (words,) = {backend_words(record) for record in records}
    assert words.startswith("direct")
    assert f"| {cases[0]} | {words} |" in page
    assert "No GPU was at hand" in page
    assert (folder / "report.png").read_bytes()[:4] == b"\x89PNG"


def test_a_wrong_operator_gives_status_1(tmp_path, capsys, monkeypatch):
    right = ops.temporal_roi_align
    monkeypatch.setattr(ops, "temporal_roi_align", lambda *a, **k: 1.001 * right(*a, **k))
    words = ["operator", "forward-dense", "--quick", "--threads", "1", "--rounds", "1"]
    assert run(*words, "--out", str(tmp_path)) == 1
    assert "WRONG RESULT in forward-dense" in capsys.readouterr().out
    (record,) = json.loads((tmp_path / "quick-operator.json").read_text())["records"]
    assert not record["agreement"]["passed"]
    assert record["agreement"]["errors"]["output"] == pytest.approx(1e-3, rel=0.1)


@pytest.mark.skipif(ops.backends()["native"] is not None, reason="no native library")
def test_how_the_native_backend_searched_is_told():
    size = OperatorSize(rois=2, frames=1, channels=8, height=6, width=7)
    settings = Settings(backend="native", threads=1, rounds=1, seconds=0)
    (record,) = run_operator([operator_cases.Case("x", size)], settings)
    assert record["search"] == {"directions": 0, "share": 1.0}
    assert search_words(record) == "all"
    record["search"] = {"directions": 64, "share": 0.02}
    assert search_words(record) == "2.0% (m = 64)"
    del record["search"]
    assert search_words(record) == "-"


def test_what_cannot_be_checked_is_told_from_a_wrong_result(tmp_path, capsys):
    for index in range(2):
        np.save(tmp_path / f"{index}.npy", np.zeros((4, 9, 9), np.float32))
    words = ["operator", "forward-average", "training-dense", "--quick", "--threads", "1"]
    words += ["--seconds", "0"]
    assert run(*words, "--maps", str(tmp_path), "--out", str(tmp_path / "out")) == 1
    said = capsys.readouterr().out
    assert "NOT CHECKED, too many ties: forward-average; measure with other maps" in said
    assert "NOT CHECKED, rival not finite: training-dense; measure with other maps" in said
    assert "WRONG" not in said
    assert "T = 1, C = 4, map 9x9, K = 4, N = 4" in " ".join(said.split())
    records = json.loads((tmp_path / "out" / "quick-operator.json").read_text())["records"]
    assert list(map(error_words, records)) == [
        "0.0e+00, too many ties",
        "0.0e+00, rival not finite",
    ]
    page = report_markdown(records)
    assert f"With the maps {tmp_path.name}: T = 1, C = 4, map 9x9, N = 4." in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["operator", "sideways"], "no case 'sideways'; there are forward-grouped"),
        (["operator", "--threads", "0"], "--threads and --rounds must be at least 1"),
        (["operator", "--seconds", "nan"], "--seconds must be 0 or a finite number above"),
        (["video", "--seconds", "inf"], "--seconds must be 0 or a finite number above"),
        (["training", "--seconds", "-1"], "--seconds must be 0 or a finite number above"),
        (["pyramid", "--seconds", "nan"], "--seconds must be 0 or a finite number above"),
        (["detect", "a.mp4", "--seconds", "nan"], "--seconds must be 0 or a finite number above"),
        (["operator", "--device", "tpu"], "--device must be cpu, cuda or cuda:N, but is tpu"),
        (["operator", "--backend", "none"], "--backend must be one of"),
        (["operatr"], "operator"),
        (["report", "--out", "nowhere"], "no records in nowhere/operator.json: run"),
    ],
)
def test_wrong_words_give_one_line_and_status_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert err.startswith("trovid: ")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", ["forward-average", "memory"])
def test_a_precision_that_the_rival_lacks_is_refused(case, capsys, tmp_path):
    half = torch.ones(1, 1, 4, 4, dtype=torch.bfloat16)
    try:
        torchvision.ops.roi_align(half, [half.new_ones(1, 4)], 2)
    except RuntimeError:
        words = ["operator", case, "--quick", "--dtype", "bfloat16", "--threads", "1"]
        assert run(*words, "--out", str(tmp_path)) == 2
        err = capsys.readouterr().err
        assert err.startswith("trovid: --dtype bfloat16 cannot be timed on cpu: torchvision ")
        assert err.count("\n") == 1
        assert list(tmp_path.iterdir()) == []
    else:
        pytest.skip("this torchvision computes RoIAlign in bfloat16")


def test_cases_cover_what_is_to_be_shown():
    cases = {case.name: case for case in operator_cases.all_cases()}
    assert cases["rois-30"].size == OperatorSize(rois=30)
    assert cases["map-75x125"].size == OperatorSize(height=75, width=125)
    assert len(cases) == 25
    assert cases["training-dense"].backward
    assert "rois-300" not in cases


def test_flops():
    assert equation_flops(PAPER) == pytest.approx(505e9 + 260e9, rel=0.01)
    dense = OperatorSize(form="dense")
    assert equation_flops(dense) == pytest.approx(505e9 + 1040e9, rel=0.01)
    assert factored_flops(dense) == pytest.approx(82e9 + 138e9 + 10e9, rel=0.02)
    few = OperatorSize(rois=30)
    assert factored_flops(few) < factored_flops(PAPER) / 2


def test_records_as_json(tmp_path, capsys):
    words = ["operator", "forward-average", "--quick", "--threads", "1", "--rounds", "2"]
    assert run(*words, "--seconds", "0", "--out", str(tmp_path), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["status"] == 0
    assert [record["case"] for record in said["records"]] == ["forward-average"]
    assert json.loads((tmp_path / "quick-operator.json").read_text())["records"] == said["records"]
