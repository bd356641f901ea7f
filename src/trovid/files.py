"""Files that appear whole under their name or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from trovid.errors import TrovidError

NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


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


def partial_name(path: Path) -> Path:
    """A hidden name beside `path` with the same suffix, to write to before renaming."""
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")


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
        if partial.is_dir() and path.is_dir():
            shutil.rmtree(path)
        partial.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            partial.unlink(missing_ok=True)


def publish(partial: Path, path: Path) -> None:
    """Gives a file that is whole its name.

    Raises:
        TrovidError: If the system does not let it; the file is removed then.
    """
    try:
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise unwritable(path, error) from error


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
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)
