"""The lowest versions that `make test-lowest` installs are those of pyproject.toml."""

from __future__ import annotations

import re
import runpy
from importlib.metadata import distributions, version
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "lowest.py"


def test_everything_is_held_at_its_lower_bound(capsys):
    runpy.run_path(str(TOOL), run_name="__main__")
    held = dict(line.split("==") for line in capsys.readouterr().out.splitlines())
    assert held["torch"] == "2.6.0"
    assert {"onnxruntime", "timm", "pytest"} <= set(held)
    installed = {found.metadata["Name"].lower() for found in distributions()}
    for name, lowest in held.items():
        if name not in installed:  # of an extra
            continue
        numbers, here = (
            [int(part) for part in re.findall(r"\d+", v)] for v in (lowest, version(name))
        )
        assert here >= numbers, name


def test_an_open_lower_bound_is_an_error():
    lowest = runpy.run_path(str(TOOL))["lowest"]
    assert lowest("ruff>=0.17.6,<0.18") == "ruff==0.17.6"
    assert lowest("moto[s3]>=5.1") == "moto==5.1"
    assert lowest("ty==0.0.105") == "ty==0.0.105"
    with pytest.raises(SystemExit, match=r"`numpy<3` must state its lowest version"):
        lowest("numpy<3")
