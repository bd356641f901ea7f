"""The log of a training."""

from __future__ import annotations

import json

import pytest
import torch

from trovid.errors import TrovidError
from trovid.training.log import TrainingLog
from trovid.training.loop import Progress


def add(log, *steps, last=100):
    for step in steps:
        values = torch.tensor([float(step), 1.0])
        log.add(Progress(step, last, step / 3, 0.5 / step, ("a", "b"), values))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_every_few_steps_with_the_mean_since_the_last_one(tmp_path):
    path = tmp_path / "runs" / "x.jsonl"
    log = TrainingLog(path, every=4)
    add(log, *range(1, 4))
    assert lines(path) == []
    assert log.losses == {}
    add(log, *range(4, 11), last=10)
    first, second, last = lines(path)
    assert first == {
        "step": 4, "learning_rate": 0.125, "seconds": 1.333, "loss": 3.5, "a": 2.5, "b": 1.0
    }  # fmt: skip
    assert (second["step"], second["a"]) == (8, 6.5)
    assert (last["step"], last["a"]) == (10, 9.5)
    assert log.losses == {"a": 9.5, "b": 1.0}


def test_a_training_that_goes_on_replaces_the_lines_behind_its_checkpoint(tmp_path):
    path = tmp_path / "x.jsonl"
    add(TrainingLog(path, every=2), *range(1, 8))
    with path.open("a") as file:
        file.write('{"step": 8, "lea')  # cut off by a crash
    add(TrainingLog(path, every=2), *range(5, 9), last=8)
    assert [line["step"] for line in lines(path)] == [2, 4, 6, 8]
    add(TrainingLog(path, every=2), 1, 2)
    assert [line["step"] for line in lines(path)] == [2]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(TrovidError, match="cannot write"):
        add(TrainingLog(tmp_path / "runs" / "x.jsonl"), 1)
