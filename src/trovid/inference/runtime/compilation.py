"""Parts of a detector compiled, and whether torch.compile works here."""

from __future__ import annotations

import torch

from trovid.detectors.contract import VideoDetector
from trovid.errors import TrovidError


def compile_parts(detector: VideoDetector, device: torch.device) -> None:
    """Lets torch.compile make the detector's dense parts, at their first call.

    The rest depends on how many boxes there are, and its time lies in kernels of its own.

    Args:
        detector: Changed in place.
        device: Where it runs.

    Raises:
        TrovidError: If torch.compile does not work on this machine.
    """
    check_compile(device)
    for part in detector.dense_parts:
        part.compile()


def check_compile(device: torch.device) -> None:
    """That torch.compile works.

    Args:
        device: Where it is to.

    Raises:
        TrovidError: If it does not; the message says why.
    """
    try:
        torch.compile(_trial)(torch.ones(2, device=device))
    except RuntimeError as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
        raise TrovidError(
            f"torch.compile does not work here ({reason}): run without it, or install what it "
            "needs (on a CPU a C++ compiler)"
        ) from error


def _trial(x: torch.Tensor) -> torch.Tensor:
    return x * 2 + 1
