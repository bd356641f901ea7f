"""Several processes share a training: the same samples and, but for rounding, losses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from tests.programs import start_program
from tests.training.shared_training import free_port, run, shared_recipe
from tests.training.tiny import TRANSFORM, tiny_folder, tiny_recipe
from trovid.errors import TrovidError
from trovid.training.loop import Stopped
from trovid.training.processes import Processes

ROOT = Path(__file__).parents[2]


def together(folder: Path) -> list:
    """What two processes leave."""
    environment = {
        **os.environ,
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    code = "from tests.training.shared_training import run_rank; run_rank()"
    processes = [
        start_program(
            code, [folder, str(rank)], environment={**environment, "RANK": str(rank)}, folder=ROOT
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate()[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], said
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"result{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_two_processes_train_as_one(tmp_path, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    tiny_folder(tmp_path / "data")
    (losses, state), (others, other_state) = together(tmp_path)
    assert losses == others
    assert all(torch.equal(value, other_state[name]) for name, value in state.items())
    alone, own_state = run(tmp_path / "alone", shared_recipe())
    assert len(alone) == len(losses) == 5
    for one, shared in zip(alone, losses, strict=True):
        assert shared == pytest.approx(one, abs=1e-4)
    for name, value in own_state.items():
        torch.testing.assert_close(state[name], value, atol=1e-4, rtol=1e-3)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
@pytest.mark.slow
def test_two_processes_go_on_where_one_was_stopped(tmp_path, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    tiny_folder(tmp_path / "data")
    whole, _ = run(tmp_path / "whole", shared_recipe())
    with pytest.raises(Stopped, match="stopped after step 3 of 5"):
        run(tmp_path / "rank0", shared_recipe(), stop_after=3)
    (tmp_path / "rank1").mkdir()
    shutil.copy(tmp_path / "rank0" / "checkpoint", tmp_path / "rank1" / "checkpoint")
    (losses, state), (_, other) = together(tmp_path)
    assert len(losses) == 2
    for one, shared in zip(whole[3:], losses, strict=True):
        assert shared == pytest.approx(one, abs=1e-4)
    assert all(torch.equal(value, other[name]) for name, value in state.items())


def test_a_step_in_parts_is_the_step(tmp_path):
    tiny_folder(tmp_path / "data")
    whole, _ = run(tmp_path / "whole", shared_recipe(steps=3, batch=4))
    parts, _ = run(tmp_path / "parts", shared_recipe(steps=3, batch=4, accumulate=2))
    for one, other in zip(whole, parts, strict=True):
        assert other == pytest.approx(one, abs=1e-6)


def test_a_clip_is_the_same_whoever_asks(clips):
    settings = tiny_recipe(batch=5, flip=0.5, random="clip", support_frames=2).training
    whole = clips.draw(settings, seed=1, step=3)
    wanted = whole.batch(TRANSFORM)
    shares = [Processes(rank, 2).share(5) for rank in range(2)]
    parts = [clips.draw(settings, seed=1, step=3, share=share) for share in shares]
    batches = [part.batch(TRANSFORM) for part in parts]
    assert torch.equal(torch.cat([batch.images for batch in batches]), wanted.images)
    assert [i for batch in batches for i in batch.frame_indices] == wanted.frame_indices
    targets = [target for batch in batches for target in batch.targets]
    for drawn, target in zip(targets, wanted.targets, strict=True):
        assert drawn.keys() == target.keys()
        assert all(torch.equal(drawn[key], target[key]) for key in drawn)
    assert len({int(target["seed"]) for target in targets}) == len(targets)


def test_too_many_processes_is_one_line():
    with pytest.raises(TrovidError, match="batch is 2, but 3 processes share it"):
        Processes(0, 3).share(2)
