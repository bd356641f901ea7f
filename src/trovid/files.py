"""Files that appear whole under their name or not at all, and are on the disk by then."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from trovid.errors import TrovidError

NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
LONGEST_STEM = 120
"""Bytes of a name that its partial file repeats."""
PARTIAL = re.compile(r"\..+\.(?P<machine>\w+)-(?P<process>\d+)\.partial(\..*)?", re.DOTALL)
ABANDONED = 24 * 3600.0
"""Seconds after which a partial file of another machine, which nobody wrote to, is nobody's."""


def unwritable(path: Path, error: Exception) -> TrovidError:
    """The error, in one line, of what cannot be written.

    Example:
        >>> str(unwritable(Path("a.json"), OSError(errno.ENOSPC, "No space left on device")))
        'cannot write a.json: No space left on device; free space or choose another place'
    """
    number = getattr(error, "errno", None)  # numpy's errors have none where it wrote too little
    full = number is None or number in NO_ROOM
    cure = "free space or choose another place" if full else "choose another place"
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, FileExistsError | NotADirectoryError) and not path.parent.is_dir():
        reason = f"{path.parent} is no folder"
    return TrovidError(f"cannot write {path}: {reason}; {cure}")


def below(folder: Path, name: str) -> Path:
    """The file of that name in the folder or in one below it.

    Args:
        folder: Where it belongs.
        name: Of the file, which another file may have chosen.

    Raises:
        TrovidError: If the name leads out of the folder, or is none.

    Example:
        >>> below(Path("out"), "paper/a.safetensors").as_posix()
        'out/paper/a.safetensors'
        >>> below(Path("out"), "../a.safetensors")
        Traceback (most recent call last):
        trovid.errors.TrovidError: '../a.safetensors' leads out of out: choose another name
    """
    parts = re.split(r"[/\\]", name)
    if not all(part.strip(". ") for part in parts) or ":" in name or not name.isprintable():
        raise TrovidError(f"{name[:100]!r} leads out of {folder}: choose another name")
    return folder / name


def partial_name(path: Path) -> Path:
    """A hidden name beside `path` with the same suffix, to write to before renaming.

    It tells which process of which machine writes: what a killed one has left is removed when the
    next one begins to write into the folder.
    """
    _remove_abandoned(path.parent)
    stem = path.stem
    if len(os.fsencode(stem)) > LONGEST_STEM:
        stem = hashlib.sha256(os.fsencode(stem)).hexdigest()
    return path.with_name(f".{stem}.{_machine()}-{os.getpid()}.partial{path.suffix}")


@cache
def _machine() -> str:
    """Another one wherever the numbers of processes mean others: machine, start, container."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("|".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:12]


@cache
def _remove_abandoned(folder: Path) -> None:
    """Once a folder: removes partial files whose writer is gone."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            found = PARTIAL.fullmatch(entry.name)
            if found is not None and _is_abandoned(entry, found["machine"], int(found["process"])):
                remove(Path(entry.path))


def _is_abandoned(entry: os.DirEntry[str], machine: str, process: int) -> bool:
    if machine == _machine() and os.name == "posix":
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED


def remove(path: Path) -> None:
    """Removes a file or folder, if it is there and lets itself be removed."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A path beside `path` to write to, renamed to it at the end; removed after an error.

    Args:
        path: The file or folder to write or to replace, in a folder that is made where absent;
            the temporary name keeps its suffix.

    Raises:
        TrovidError: If the system does not let it be written.
    """
    partial = partial_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _give_name(partial, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        remove(partial)


def make_folder_of(path: Path) -> None:
    """Makes the folder that a file will be written into, before what takes long is computed.

    Raises:
        TrovidError: If the system does not let it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def publish(partial: Path, path: Path) -> None:
    """Gives a file that is whole its name, after it has reached the disk.

    Raises:
        TrovidError: If the system does not let it; the file is removed then.
    """
    try:
        _give_name(partial, path)
    except OSError as error:
        remove(partial)
        raise unwritable(path, error) from error


def _give_name(partial: Path, path: Path) -> None:
    for file in partial.rglob("*") if partial.is_dir() else [partial]:
        if file.is_file():
            _to_disk(file)
    if partial.is_dir() and path.is_dir():
        shutil.rmtree(path)
    partial.replace(path)
    with suppress(OSError):  # not every system knows it of a folder
        _to_disk(path.parent)


def _to_disk(path: Path) -> None:
    """Waits until a file's contents, or a folder's names, outlast a loss of power."""
    writable = os.O_RDWR if os.name == "nt" else os.O_RDONLY
    number = os.open(path, writable)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a place that is no disk
            raise
    finally:
        os.close(number)


class GrowingFile:
    """A text file that is written piece by piece and appears under its name by `publish`.

    Args:
        path: The file to write or to replace, in a folder that is made where absent.

    Raises:
        TrovidError: If the system does not let it be written, here or in a method.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = partial_name(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise unwritable(path, error) from error

    def write(self, text: str) -> None:
        """Adds text; where that fails, nothing is left."""
        try:
            self._file.write(text)
        except OSError as error:
            self.discard()
            raise unwritable(self.path, error) from error

    def finish(self) -> None:
        """Ends the writing; where that fails, nothing is left."""
        try:
            self._file.close()
        except OSError as error:
            self.discard()
            raise unwritable(self.path, error) from error

    def publish(self) -> None:
        """Gives the finished file its name."""
        publish(self._partial, self.path)

    def discard(self) -> None:
        """Removes what was written, unless it was published."""
        with suppress(OSError):
            self._file.close()
        remove(self._partial)
