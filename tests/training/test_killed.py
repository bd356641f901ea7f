"""Trainings that are killed at random moments go on to the same bits."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
KILLS = 30


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_thirty_of_thirty_killed_trainings_go_on_to_the_same_bits(tmp_path):
    seed = int(os.environ.get("TROVID_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed {seed}: TROVID_TEST_SEED={seed} kills after the same delays")
    words = [sys.executable, "-m", "tests.training.killed", str(tmp_path), str(KILLS), str(seed)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    environment.pop("WORLD_SIZE", None)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, cwd=ROOT)
    print(done.stdout, done.stderr[-2000:])
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    kills = [line for line in lines if line.get("status") == -9]
    assert len(kills) == KILLS
    assert sum(line["victim"] for line in kills) >= 10
    assert sum(line["saving"] for line in kills) >= 5
    ends = [line["same"] for line in lines if "same" in line]
    assert len(ends) >= 2
    assert all(ends)
    others = [status for line in kills for status in line["others"]]
    assert set(others) <= {0, 2}  # they end by themselves, with a line or because they are done
    assert others.count(2) >= 10
