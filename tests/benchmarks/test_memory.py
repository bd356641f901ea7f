import sys

import pytest

from tests.programs import run_program
from trovid.benchmarks.inputs import OperatorSize
from trovid.benchmarks.memory import memory_of
from trovid.ops.temporal_roi_align.cpp import backend as native

SIZE = OperatorSize(rois=40, frames=2, channels=64, height=20, width=30)


PROGRAM = """
import torch
from trovid.benchmarks.memory import extra_memory

torch.ones(60 * 2**18).sum()  # leaves a higher mark
print(extra_memory(lambda: torch.ones(30 * 2**18)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is reset on Linux alone")
def test_extra_memory_is_what_a_run_takes():
    """In a fresh process: commands that ran in this one let it keep what it freed."""
    done = run_program(PROGRAM)
    assert not done.returncode, done.stderr
    size = 30 * 2**20
    assert size * 0.95 < int(done.stdout) < size * 1.3


def test_memory_in_a_process_of_its_own():
    peak = memory_of("rival", SIZE, backward=False, threads=1)
    volume = SIZE.positions * SIZE.height * SIZE.width * 4
    sets = 3 * SIZE.positions * SIZE.channels * 4
    assert volume < peak < 6 * (volume + sets)


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is reset on Linux alone")
@pytest.mark.skipif(native.unavailable() is not None, reason=str(native.unavailable()))
def test_a_forward_pass_copies_a_part_of_the_maps_at_a_time():
    size = OperatorSize(rois=100)
    maps = 4 * size.frames * size.channels * size.height * size.width
    assert memory_of("trovid", size, backward=False, threads=1) < 0.7 * maps


@pytest.mark.slow
def test_a_failing_process_is_told():
    with pytest.raises(RuntimeError, match="of trovid failed: ValueError: `backend` must be"):
        memory_of("trovid", SIZE, backward=False, backend="none", threads=1)
