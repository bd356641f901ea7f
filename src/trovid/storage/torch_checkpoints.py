"""Files of `torch.save`, of which nothing is executed."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from trovid.errors import TrovidError


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A file of `torch.save` that holds tensors and plain values alone; nothing is executed.

    Raises:
        TrovidError: If there is no such file, or it holds anything else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrovidError(f"{path}: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:  # torch's text advises to execute what is in it
        raise TrovidError(
            f"{path} is not a checkpoint of tensors alone: it is damaged, or holds code, which is "
            "not executed; save its state_dict() alone"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "unreadable"
        raise TrovidError(f"{path} is not a checkpoint of tensors alone ({reason})") from error
    if not isinstance(checkpoint, dict):
        raise TrovidError(f"{path} holds a {type(checkpoint).__name__}, not a checkpoint")
    return checkpoint
