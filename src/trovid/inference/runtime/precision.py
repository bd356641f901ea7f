"""Which precision a device computes by itself, and what takes its place where it does not."""

from __future__ import annotations

import logging

import torch

from trovid.nn import onednn

log = logging.getLogger("trovid")


def computes_bfloat16(device: torch.device | str) -> bool:
    """Whether a device multiplies bfloat16 itself; else it is emulated, several times slower."""
    return torch.device(device).type != "cpu" or onednn.computes_bfloat16()


def usable_precision(precision: str, device: torch.device | str) -> str:
    """The precision to compute in on a device: "float32" in place of a "bf16" that is emulated.

    One line says so where another one is taken.
    """
    if precision != "bf16" or computes_bfloat16(device):
        return precision
    log.warning("this processor does not compute bf16: float32 is used instead, which is faster")
    return "float32"
