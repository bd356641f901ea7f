"""Which precision a device computes by itself, and what takes its place where it does not."""

from __future__ import annotations

import logging

import torch

from trovid.nn import onednn

log = logging.getLogger("trovid")


def gains_from_bfloat16(device: torch.device | str) -> bool:
    """Whether a device is faster in bfloat16; a processor may emulate it, several times slower."""
    return torch.device(device).type != "cpu" or onednn.gains_from_bfloat16()


def usable_precision(precision: str, device: torch.device | str) -> str:
    """The precision to compute in on a device: "float32" in place of a "bf16" that is slower.

    One line says so where another one is taken.
    """
    if precision != "bf16" or gains_from_bfloat16(device):
        return precision
    log.warning("bf16 is slower on this processor: float32 is used instead")
    return "float32"
