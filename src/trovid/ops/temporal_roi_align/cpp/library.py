"""Loading trovid's native library, and the interface of trovid.h that both sides must share.

The library is built while trovid is installed, where there is a C++ compiler. It has a plain C
interface, is not linked to torch, and chooses the instruction set when loaded; the environment
variable TROVID_NATIVE_ISA (avx512_bf16, avx512_vnni, avx512, avx2_vnni, avx2, portable) chooses
another one.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

from trovid.ops.temporal_roi_align.problem import TENSORS

ISA_VARIABLE = "TROVID_NATIVE_ISA"
FOLDER = Path(__file__).parents[2] / "_native"
VERSION = 7
"""TROVID_VERSION of trovid.h."""

OK, NO_MEMORY, OUT_OF_RANGE, NO_ISA, FAILED = range(5)
"""What the functions of the library return."""

COUNTS = (
    "videos",
    "channels",
    "height",
    "width",
    "cells",
    "map_width",
    "square",
    "squares",
    "num_rois",
    "grid_height",
    "grid_width",
    "top_k",
    "num_heads",
    "dense",
    "sampling_ratio",
    "aligned",
    "threads",
    "directions",
    "planes",
)


class CProblem(ctypes.Structure):
    """`trovid_problem` of trovid.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in COUNTS),
        *((name, ctypes.c_float) for name in ("spatial_scale", "logit_scale")),
        *((name, ctypes.c_void_p) for name in (*TENSORS, "lengths")),
    )


class CReport(ctypes.Structure):
    """`trovid_report` of trovid.h."""

    _fields_ = (("directions", ctypes.c_int64), ("share", ctypes.c_double))


@cache
def load() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    files = sorted(FOLDER.glob("libtrovid.*"))
    if not files:
        return "it was not built: install a C++ compiler, then install trovid again"
    try:
        library = ctypes.CDLL(str(files[0]))
    except OSError as error:
        return f"{files[0].name} cannot be loaded: {error}"
    if not _is_current(library):
        return (
            f"{files[0].name} was built from other sources than this trovid: install trovid again "
            "(in a checkout: python hatch_build.py)"
        )
    wanted = os.environ.get(ISA_VARIABLE)
    if wanted and library.trovid_use_isa(wanted.encode()) == NO_ISA:
        return f"{ISA_VARIABLE} asks for {wanted!r}, which this processor or build does not have"
    return library


def _is_current(library: ctypes.CDLL) -> bool:
    """Whether the library was built from the trovid.h that this file follows; else nothing fits."""
    try:
        version, size = library.trovid_version, library.trovid_problem_size
    except AttributeError:
        return False
    for function in (version, size):
        function.restype = ctypes.c_int64
    for function in (library.trovid_isa, library.trovid_error):
        function.restype = ctypes.c_char_p
    return (version(), size()) == (VERSION, ctypes.sizeof(CProblem))
