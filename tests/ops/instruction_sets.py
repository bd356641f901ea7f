"""The native library's builds, one for each instruction set, chosen for a test."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest
import torch

from trovid.ops.temporal_roi_align.cpp import backend as native
from trovid.ops.temporal_roi_align.cpp import library


@contextmanager
def instruction_set(isa: str) -> Generator[None]:
    """Skips the test where it cannot be had; before and after, build and threads are the same."""
    if native.unavailable():
        pytest.skip(str(native.unavailable()))
    before, threads = native.isa(), torch.get_num_threads()
    if not use(isa):
        pytest.skip("this processor or build does not have it")
    yield
    torch.set_num_threads(threads)
    assert use(before)


def use(isa: str) -> bool:
    """Whether the build for this instruction set is the one in use now."""
    return library.load().trovid_use_isa(isa.encode()) == 0
