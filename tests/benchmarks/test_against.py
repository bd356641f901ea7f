"""Two installations in turns: here the same one twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from trovid.benchmarks.against import Installation, Job, share_unequal
from trovid.cli.main import main


def run(*words):
    with pytest.raises(SystemExit) as exited:
        main(["bench", *words])
    return exited.value.code


@pytest.mark.parametrize(
    ("words", "cases"),
    [
        (
            ["operator", "training-dense", "--quick"],
            ["training-dense"],
        ),
        pytest.param(
            ["video", "paper/selsa-troi-r50", "--precision", "float32", "--quick"],
            [f"{part}, float32, paper/selsa-troi-r50" for part in ("frame", "support frame")],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["operator", "video"],
)
def test_an_installation_agrees_with_itself(tmp_path, capsys, words, cases):
    rest = ["--rounds", "2", "--seconds", "0", "--threads", "1", "--out", str(tmp_path)]
    assert run(*words, *rest, "--against", sys.executable) == 0
    records = json.loads((tmp_path / "against.json").read_text())["records"]
    assert [record["case"] for record in records] == cases
    for record in records:
        assert record["unequal"] == 0
        assert all(len(seconds) == 2 for seconds in record["seconds"].values())
    assert "Fastest runs here and with" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys; sys.exit(3)", "ended without a word"),
        ("raise OSError('no trovid')", "no trovid"),
    ],
)
def test_another_installation_that_fails_is_named(tmp_path, capsys, text, said):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{text}"\n')
    python.chmod(0o755)
    words = ["operator", "rois-1", "--quick", "--out", str(tmp_path), "--against"]
    assert run(*words, str(python)) == 2
    assert f"{python}: " in (error := capsys.readouterr().err)
    assert said in error


def test_what_an_installation_complains_of_holds_nothing_up(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nhead -c 200000 /dev/zero >&2\nread job\necho '[[1.0]]'\n")
    python.chmod(0o755)
    with Installation(python, threads=1) as one:
        assert one.prepare(Job("", {})) == [[1.0]]


def test_another_installation_that_is_not_there_is_named(tmp_path, capsys):
    words = ["operator", "rois-1", "--quick", "--out", str(tmp_path), "--against"]
    assert run(*words, str(tmp_path / "absent")) == 2
    assert "cannot be run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("memory", "--against times neither memory nor -packed: name other cases"),
        ("forward-grouped-packed", "--against times neither memory nor -packed"),
        ("--maps trained", "--against compares on random maps: leave --maps out"),
        ("--dtype bfloat16", "--against compares in float32: leave --dtype out"),
        ("--backend reference", "leave --backend out"),
    ],
)
def test_what_it_does_not_time_is_refused(tmp_path, capsys, words, message):
    rest = ["--quick", "--out", str(tmp_path), "--against", sys.executable]
    assert run("operator", *words.split(), *rest) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_values_that_differ_are_counted():
    assert share_unequal([[1.0, 2.0]], [[1.0, 2.0]]) == 0
    assert share_unequal([[1.0, 2.0]], [[1.0, 2.1]]) == 0.5
    assert share_unequal([[1.0, float("nan")]], [[1.0, 2.0]]) == 0.5
    assert share_unequal([[1.0]], [[1.0, 2.0]]) == 1
    assert share_unequal([[1.0, 2.0]], [[1.0, 2.1]], tolerance=0.1) == 0


def test_training_is_held_by_its_losses():
    with Installation(Path(sys.executable), threads=1) as one:
        losses = one.prepare(Job("", {"kind": "training", "recipe": "synthvid-single"}))
    assert len(losses) == 8
    assert all(0 < loss < 10 for [loss] in losses)


def test_bfloat16_may_differ_by_its_rounding():
    assert Job("", {"precision": "float32"}).tolerance == Job("", {}).tolerance == 1e-3
    assert Job("", {"precision": "bf16"}).tolerance == 2**-6
