"""That no two processes write the files of one training."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trovid.errors import TrovidError
from trovid.files import unwritable

PATIENCE = 20.0
"""Seconds in which a killed training's processes have ended, which read ahead for it."""
log = logging.getLogger("trovid")


@contextmanager
def training_alone(file: Path, lock: Path) -> Generator[None]:
    """Keeps other processes from the same training while this one lasts, however it ends.

    Args:
        file: The weights that it will write.
        lock: An empty file, which stays.

    Raises:
        TrovidError: If another process trains it, or `lock` cannot be written.
    """
    held = FileLock(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            held.acquire(timeout=0)
        except Timeout:
            log.warning("%s: another process is at it, waiting %g s for its end", file, PATIENCE)
            held.acquire(timeout=PATIENCE)
    except Timeout as error:
        raise TrovidError(
            f"{file} is being trained by another process: wait for it, or choose another `out`"
        ) from error
    except OSError as error:
        raise unwritable(lock, error) from error
    try:
        yield
    finally:
        held.release()
