"""What becomes of memory that was freed: kept for the next tensor, or given back to the system."""

from __future__ import annotations

import ctypes
import os
import platform

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
