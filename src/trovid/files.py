"""Files that appear whole under their name or not at all."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def partial_name(path: Path) -> Path:
    """A hidden name beside `path` with the same suffix, to write to before renaming."""
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A path beside `path` to write to, renamed to it at the end; removed after an error.

    Args:
        path: The file to write or to replace; the temporary name keeps its suffix.
    """
    partial = partial_name(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
