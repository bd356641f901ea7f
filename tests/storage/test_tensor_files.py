"""Safetensors files: who may read them, and refusal of what is none."""

from __future__ import annotations

import os
import pickle
import stat

import pytest
import torch

from trovid.errors import TrovidError
from trovid.storage.tensor_files import read_tensors, save_tensors


@pytest.mark.skipif(os.name != "posix", reason="needs a umask")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_file_may_be_read_by_whom_the_umask_says(tmp_path, mask):
    before = os.umask(mask)
    try:
        save_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(1)}, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.safetensors").stat().st_mode) == 0o666 & ~mask
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_a_pickle_is_refused_and_never_executed(tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(TrovidError, match="not a safetensors file"):
        read_tensors(path)
    with pytest.raises(TrovidError, match="no such file"):
        read_tensors(tmp_path / "absent.safetensors")
