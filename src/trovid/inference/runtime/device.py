"""Where a detector runs."""

from __future__ import annotations

import torch

from trovid.errors import TrovidError

DEVICES = ("auto", "cpu", "cuda", "mps")


def usable_device(name: str) -> torch.device:
    """The device of that name; "auto" is the GPU where there is one.

    Raises:
        TrovidError: If there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, number = name.partition(":")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        if kind == "meta":
            raise ValueError("holds no numbers")
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        if kind not in DEVICES or (colon and not number.isdecimal()):
            reason = f"the devices are {', '.join(DEVICES)}, and cuda:1 and so on"
        elif kind == "cuda" and torch.cuda.is_available():
            reason = f"there are {torch.cuda.device_count()} GPUs, counted from cuda:0"
        else:
            reason = f"torch {torch.__version__} finds no such device here; leave it out"
        raise TrovidError(f"device {name!r} cannot be used: {reason}") from error
    return device
