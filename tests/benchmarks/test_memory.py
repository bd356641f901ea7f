import sys

import pytest
import torch

from trovid.benchmarks.inputs import OperatorSize
from trovid.benchmarks.memory import extra_memory, memory_of

SIZE = OperatorSize(rois=40, frames=2, channels=64, height=20, width=30)


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is reset on Linux alone")
def test_extra_memory_is_what_a_run_takes():
    torch.ones(60 * 2**18).sum()  # leaves a higher mark
    size = 30 * 2**20
    found = extra_memory(lambda: torch.ones(size // 4))
    assert size * 0.95 < found < size * 1.3


def test_memory_in_a_process_of_its_own():
    peak = memory_of("rival", SIZE, backward=False, threads=1)
    volume = SIZE.positions * SIZE.height * SIZE.width * 4
    sets = 3 * SIZE.positions * SIZE.channels * 4
    assert volume < peak < 6 * (volume + sets)


def test_a_failing_process_is_told():
    with pytest.raises(RuntimeError, match="of trovid failed: ValueError: `backend` must be"):
        memory_of("trovid", SIZE, backward=False, backend="none", threads=1)
