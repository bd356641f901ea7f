"""What oneDNN computes on this machine, as far as torch lets it.

torch takes another library for float32 matrices, which on some processors reaches half the speed of
the machine or less; for convolutions and bfloat16 it takes oneDNN. The functions that change this
are private to torch, so every part that calls them has a plain way beside them.
"""

from __future__ import annotations

import time
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional


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


@cache
def gains_from_bfloat16() -> bool:
    """Whether oneDNN's convolutions are faster in bfloat16 than in float32 on this processor.

    Intel's processors before those with AMX know the instruction, but take twice as long as for
    float32. So two small convolutions are timed, once a process (some 10 ms).
    """
    if not computes_bfloat16():
        return False
    maps = torch.ones(1, 256, 32, 32).contiguous(memory_format=torch.channels_last)
    weight = torch.ones(256, 256, 1, 1)
    fastest = {}
    with torch.no_grad():
        for _ in range(6):  # the first of each makes its kernel
            for dtype in (torch.float32, torch.bfloat16):
                own_maps, own_weight = maps.to(dtype), weight.to(dtype)
                begin = time.perf_counter()
                functional.conv2d(own_maps, own_weight)
                taken = time.perf_counter() - begin
                fastest[dtype] = min(taken, fastest.get(dtype, taken))
    return fastest[torch.bfloat16] < fastest[torch.float32]


def fuses(maps: Tensor) -> bool:
    """Whether oneDNN puts a further step into a convolution of such maps on this processor."""
    known = maps.dtype == torch.float32 or computes_bfloat16()
    return known and maps.is_contiguous(memory_format=torch.channels_last)
