"""Files of `torch.save`, of which nothing is executed."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trovid.errors import TrovidError, shortened

REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_checkpoint(path: Path) -> dict[Any, Any]:
    """A file of `torch.save` that holds tensors and plain values alone; nothing is executed.

    Raises:
        TrovidError: If there is no such file, or it holds anything else.
    """
    if _is_torchscript(path):
        raise TrovidError(
            f"{path} is a program (TorchScript), which is not executed; save its state_dict() alone"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrovidError(f"{path}: {error.strerror or error}") from error
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:  # torch's text advises to execute what is in it
        raise TrovidError(
            f"{path} is not a checkpoint of tensors alone: it is damaged, or holds code, which is "
            "not executed; save its state_dict() alone"
        ) from error
    except Exception as error:  # a forged file may break torch's reader anywhere
        raise TrovidError(
            f"{path} is not a checkpoint of tensors alone ({type(error).__name__} while it was "
            "read); get the file again"
        ) from error
    if not isinstance(checkpoint, dict):
        raise TrovidError(f"{path} holds a {type(checkpoint).__name__}, not a checkpoint")
    return checkpoint


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def plain_state(state: Any, path: Path) -> dict[str, Tensor]:
    """A state dict of a checkpoint: names, and ordinary tensors of real numbers.

    Args:
        state: What the file holds in its place.
        path: Names the file in errors.

    Raises:
        TrovidError: If it is anything else.
    """
    if not isinstance(state, dict):
        raise TrovidError(f"{path} has no `state_dict` of tensors: not the published layout")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise TrovidError(
                f"{path}: its `state_dict` must hold tensors by name, but {shortened(key)} is a "
                f"{type(value).__name__}: not the published layout"
            )
        dense = value.layout == torch.strided and value.device.type == "cpu"
        if not dense or not (value.dtype in REAL or key.endswith("num_batches_tracked")):
            raise TrovidError(
                f"{path}: {shortened(key)} must be an ordinary tensor of floating-point numbers, "
                f"but is {value.dtype} on {value.device}"
            )
    return state
