"""What oneDNN computes on this machine, as far as torch lets it.

torch takes another library for float32 matrices, which on some processors reaches half the speed of
the machine or less; for convolutions and bfloat16 it takes oneDNN. The functions that change this
are private to torch, so every part that calls them has a plain way beside them.
"""

from __future__ import annotations

import torch
from torch import Tensor


def available() -> bool:
    """Whether this torch lets oneDNN multiply float32 matrices and add in place."""
    names = (
        "_linear_pointwise",
        "_convolution_pointwise",
        "_convolution_pointwise_",
        "_reorder_convolution_weight",
    )
    return torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in names
    )


def computes_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 on this processor."""
    asked = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    if asked is None:
        return torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return bool(asked())


def fuses(maps: Tensor) -> bool:
    """Whether oneDNN puts a further step into a convolution of such maps on this processor."""
    known = maps.dtype == torch.float32 or computes_bfloat16()
    return known and maps.is_contiguous(memory_format=torch.channels_last)
