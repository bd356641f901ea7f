"""trovid's native library: loading it, and its one function that knows nothing of the operator.

The library (csrc/) is built while trovid is installed, where there is a C++ compiler. It has a
plain C interface, is not linked to torch, and chooses the instruction set when loaded; the
environment variable TROVID_NATIVE_ISA (avx512_bf16, avx512, avx2, portable) chooses another one.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

ISA_VARIABLE = "TROVID_NATIVE_ISA"
FOLDER = Path(__file__).parent / "_native"
OUT_OF_RANGE = 2
"""The library's code for values that its kernels do not handle."""


@cache
def _load() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    files = sorted(FOLDER.glob("libtrovid.*"))
    if not files:
        return "it was not built: install a C++ compiler, then install trovid again"
    try:
        library = ctypes.CDLL(str(files[0]))
    except OSError as error:
        return f"{files[0].name} cannot be loaded: {error}"
    library.trovid_isa.restype = ctypes.c_char_p
    wanted = os.environ.get(ISA_VARIABLE)
    if wanted and library.trovid_use_isa(wanted.encode()):
        return f"{ISA_VARIABLE} asks for {wanted!r}, which this processor or build does not have"
    return library


def library() -> ctypes.CDLL:
    """The loaded library.

    Raises:
        RuntimeError: If there is none.
    """
    loaded = _load()
    if isinstance(loaded, str):
        raise RuntimeError(f"the native backend is not available: {loaded}")
    return loaded


def unavailable() -> str | None:
    """Why the backend cannot be used, in one line; None where it can."""
    loaded = _load()
    return loaded if isinstance(loaded, str) else None


def isa() -> str:
    """The instruction set in use: "avx512_bf16", "avx512", "avx2" or "portable"."""
    return library().trovid_isa().decode()


def transpose(matrices: Tensor) -> Tensor:
    """Tensor[S, M, N] to a contiguous Tensor[S, N, M]."""
    matrices = matrices.contiguous()
    count, rows, columns = matrices.shape
    result = matrices.new_empty(count, columns, rows)
    sizes = (ctypes.c_int64(n) for n in (count, rows, columns, torch.get_num_threads()))
    check(library().trovid_transpose(pointer(matrices), *sizes, pointer(result)))
    return result


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Where a contiguous tensor lies; null for None."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def check(code: int) -> None:
    """Raises MemoryError where a function of the library says so."""
    if code not in (0, OUT_OF_RANGE):
        raise MemoryError("out of memory in temporal_roi_align: use fewer boxes or support frames")
