"""Files of `torch.save`: read where they hold tensors alone, never executed."""

from __future__ import annotations

import pickle

import pytest
import torch

from trovid.errors import TrovidError
from trovid.storage.torch_checkpoints import read_checkpoint


def test_a_program_is_refused_without_advice_to_run_it(tmp_path):
    path = tmp_path / "program.pt"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    with pytest.raises(
        TrovidError, match=r"is a program \(TorchScript\), which is not exec"
    ) as error:
        read_checkpoint(path)
    assert "weights_only" not in str(error.value)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_nothing_in_a_file_is_executed(tmp_path):
    path = tmp_path / "model.pth"
    for content in (pickle.dumps(Trap(), protocol=2), b"no checkpoint", b""):
        path.write_bytes(content)
        with pytest.raises(TrovidError, match="not a checkpoint of tensors alone"):
            read_checkpoint(path)
    torch.save({"state_dict": {}, "meta": {"hook": Trap()}}, path)
    with pytest.raises(TrovidError, match="not a checkpoint of tensors alone"):
        read_checkpoint(path)
    torch.save({"state_dict": {"weight": torch.zeros(200_000)}}, path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(TrovidError, match="not a checkpoint of tensors alone"):
        read_checkpoint(path)
    with pytest.raises(TrovidError, match="No such file"):
        read_checkpoint(tmp_path / "absent.pth")
