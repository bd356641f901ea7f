"""This process's memory: what becomes of it when it is freed, and how much is in use."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path

from trovid.errors import TrovidError

VARIABLE = "TROVID_MALLOC"
"""Environment variable: "system" leaves the allocator as it is."""

OWN_VARIABLES = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
TUNABLES = "GLIBC_TUNABLES"
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = -1


def keep_freed_memory() -> bool:
    """Lets this process keep what it frees, as long as it runs.

    glibc asks the system anew for every block of some MiB and gives it back at once, and the system
    fills each of its pages with zeros: up to a third of the time of a training on a CPU. Afterwards
    no block is mapped of its own (M_MMAP_MAX), and the heap's free end stays (M_TRIM_THRESHOLD).

    Nothing is changed where the C library is another one, where glibc's own environment variables
    say what to do, or where TROVID_MALLOC is "system".

    Returns:
        Whether memory is kept.

    Raises:
        TrovidError: If TROVID_MALLOC is neither "keep" nor "system".
    """
    wanted = os.environ.get(VARIABLE) or "keep"
    if wanted not in ("keep", "system"):
        raise TrovidError(f"{VARIABLE} must be keep or system, but is {wanted}")
    told = any(name in os.environ for name in OWN_VARIABLES)
    told |= "glibc.malloc" in os.environ.get(TUNABLES, "")
    if wanted == "system" or told or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))


_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def memory_in_use() -> int:
    """Bytes that are resident now; from here on `highest_memory` counts anew.

    Where the system cannot reset the mark (all but Linux), the highest so far.
    """
    if not _CLEAR_REFS.exists():
        return highest_memory()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    _CLEAR_REFS.write_text("5")
    return _status("VmRSS")


def highest_memory() -> int:
    """The most bytes that were resident; not those of the process that began this one."""
    if _STATUS.exists():
        return _status("VmHWM")
    import resource

    mark = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return mark if sys.platform == "darwin" else mark * 1024


def _status(key: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(key + ":"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"{_STATUS} has no {key}")
