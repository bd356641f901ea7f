"""Whether the operator's backend that the environment asks for can compute here."""

from __future__ import annotations

import torch

from trovid.errors import TrovidError
from trovid.ops.temporal_roi_align.backends import resolve_backend


def check_backend(device: torch.device | str) -> None:
    """Refuses a wrong TROVID_BACKEND before anything is computed.

    Raises:
        TrovidError: If there is no such backend, or it does not compute on this device.
    """
    try:
        resolve_backend("auto", torch.empty(0, device=device))
    except (ValueError, RuntimeError) as error:
        raise TrovidError(str(error)) from error
