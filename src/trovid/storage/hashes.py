"""Hashes of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from trovid.errors import TrovidError

MEBIBYTE = 2**20


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digest(path: Path) -> str:
    """Another one for each other content: of the size, the first and the last MiB.

    Raises:
        TrovidError: If the file cannot be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest = hashlib.sha256(str(size).encode() + file.read(MEBIBYTE))
            file.seek(max(0, size - MEBIBYTE))
            digest.update(file.read(MEBIBYTE))
    except OSError as error:
        raise TrovidError(f"{path}: cannot be read ({error.strerror}); check it") from error
    return digest.hexdigest()
