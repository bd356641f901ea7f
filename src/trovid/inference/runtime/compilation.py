"""Parts of a detector compiled, and whether torch.compile works here."""

from __future__ import annotations

import getpass
import os
import re
import tempfile
from pathlib import Path

import torch

from trovid.detectors.contract import VideoDetector
from trovid.errors import TrovidError

FORCED = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Environment variables by which torch and oneDNN are kept to lesser instruction sets."""


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
    separate_cache()
    try:
        torch.compile(_trial)(torch.ones(2, device=device))
    except RuntimeError as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
        raise TrovidError(
            f"torch.compile does not work here ({reason}): run without it, or install what it "
            "needs (on a CPU a C++ compiler)"
        ) from error


def separate_cache() -> None:
    """A folder of its own for what is compiled for instruction sets that are forced.

    torch's own keys do not tell them apart, and weights that oneDNN has laid out for other
    instructions make a compiled network find nothing, or write beside its memory.
    """
    forced = [os.environ[name] for name in FORCED if name in os.environ]
    if forced:
        words = re.sub(r"\W", "_", "_".join([getpass.getuser(), *forced]))
        folder = Path(tempfile.gettempdir()) / f"torchinductor_{words}"
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


def _trial(x: torch.Tensor) -> torch.Tensor:
    return x * 2 + 1
