"""Safetensors files."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trovid.errors import TrovidError
from trovid.files import remove, replacing


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes a safetensors file under a temporary name and renames it."""
    with replacing(path) as partial, _folder_for(partial) as folder:
        written = folder / "tensors"  # the library makes temporary files of its own beside it
        try:
            save_file({k: t.contiguous() for k, t in tensors.items()}, str(written), metadata)
        except SafetensorError as error:
            number = re.search(r"(?:os error |code: )(\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        written.chmod(folder.stat().st_mode & 0o666)  # as the umask says; the library's is 0600
        written.replace(partial)


@contextmanager
def _folder_for(partial: Path) -> Generator[Path]:
    folder = partial.with_name(f"{partial.name}.folder")
    folder.mkdir(exist_ok=True)
    try:
        yield folder
    finally:
        remove(folder)


RENAMED = ((r"\broi_features\.embedding\.", "roi_features.extractor.embedding."),)
"""Names in files of before, and today's."""


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by today's names and metadata of a safetensors file.

    Raises:
        TrovidError: If there is no such file, or it is none.
    """
    with opened(path) as file:
        tensors = {_renamed(key): file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return tensors, dict(file.metadata() or {})


def _renamed(key: str) -> str:
    for pattern, name in RENAMED:
        key = re.sub(pattern, name, key)
    return key


@contextmanager
def opened(path: Path) -> Generator[Any]:
    """The open file; one that cannot be read is a TrovidError that names it."""
    if not path.is_file():
        raise TrovidError(f"{path}: no such file")
    try:
        with _named_in_utf8(path) as name, safe_open(name, "pt") as file:
            yield file
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise TrovidError(
            f"{path} is not a safetensors file ({str(error)[:200]}); `trovid weights convert` "
            "makes one of a checkpoint of PyTorch"
        ) from error


@contextmanager
def _named_in_utf8(path: Path) -> Generator[str]:
    """A name that the library takes: the file's own, or where that is no UTF-8 a link's."""
    if os.fsencode(path).decode("utf-8", "replace") == str(path):
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="trovid-") as folder:
        link = Path(folder) / "weights.safetensors"
        link.symlink_to(path.absolute())
        yield str(link)
