"""A process of its own gives its last line, or its last word as the error."""

from __future__ import annotations

import pytest

from trovid.benchmarks.child_process import run_module


def module(folder, monkeypatch, text: str) -> str:
    (folder / "measured.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "measured"


def test_the_last_line_is_the_result(tmp_path, monkeypatch):
    name = module(
        tmp_path,
        monkeypatch,
        "import json, os, sys\n"
        "print('some library talks')\n"
        "names = ('OMP_NUM_THREADS', 'EXTRA')\n"
        "print(json.dumps([json.loads(sys.argv[1]), *(os.environ[n] for n in names)]))\n",
    )
    result = run_module(name, {"size": [1, 2]}, threads=3, what="measuring", EXTRA="yes")
    assert result == [{"size": [1, 2]}, "3", "yes"]


def test_a_failure_is_told_in_one_line(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, "raise SystemExit('no room here')\n")
    with pytest.raises(RuntimeError, match=r"^measuring the memory failed: no room here$"):
        run_module(name, {}, threads=1, what="measuring the memory")
