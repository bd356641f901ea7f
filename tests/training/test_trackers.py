"""Figures for those who ask for a tracker."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from trovid.errors import TrovidError
from trovid.training.trackers import NOWHERE, open_tracker


def test_no_tracker_takes_everything(tmp_path):
    assert open_tracker(None, tmp_path, run="a", recipe={}) is NOWHERE
    NOWHERE.add(1, {"loss": 2.0})
    NOWHERE.close()


def test_what_is_not_there_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(TrovidError, match="no `tracker` 'wand'; did you mean 'wandb'"):
        open_tracker("wand", tmp_path, run="a", recipe={})
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(TrovidError, match="trackio is not installed: pip install trackio"):
        open_tracker("trackio", tmp_path, run="a", recipe={})


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_both_of_one_kind_are_told_the_same(tmp_path, monkeypatch, name):
    """A module with the functions that both publish."""
    told, module = [], ModuleType(name)
    module.init = lambda **words: told.append(words)
    module.log = lambda values, step: told.append((step, values))
    module.finish = lambda: told.append("end")
    monkeypatch.setitem(sys.modules, name, module)
    tracker = open_tracker(name, tmp_path, run="own-seed0", recipe={"training.steps": 3})
    tracker.add(10, {"loss": 1.0})
    tracker.close()
    first, *rest = told
    assert first["name"] == "own-seed0"
    assert first["config"] == {"training.steps": 3}
    assert rest == [(10, {"loss": 1.0}), "end"]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    tracker = open_tracker("tensorboard", tmp_path, run="own-seed0", recipe={})
    tracker.add(10, {"loss": 1.0})
    tracker.close()
    assert list((tmp_path / "tensorboard" / "own-seed0").iterdir())
