"""Folders that may lie anywhere: on the disk, or at an address such as s3://bucket/folder."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from trovid.errors import TrovidError
from trovid.files import replacing
from trovid.video.file import VIDEO_NAME
from trovid.video.images import SUFFIXES as IMAGE_SUFFIXES
from trovid.video.images import natural_key

log = logging.getLogger("trovid")
PATIENCE, LONG_PATIENCE = 10.0, 60.0
"""Seconds after which a line says that a store is still being asked, or a file is under way."""
STORE = re.compile(r"(?!rtsp|rtmp|https?|udp|tcp|srt)[a-z][a-z0-9+]*://.+", re.IGNORECASE)


def is_store(word: str | Path) -> bool:
    """Whether a word is the address of a store that fsspec knows, and no stream.

    Example:
        >>> [is_store(word) for word in ("s3://bucket/a", "rtsp://host/a", "a/b")]
        [True, False, False]
    """
    return bool(STORE.fullmatch(str(word)))


class Place:
    """A folder on the disk, or at an address that fsspec has a driver for.

    Args:
        root: Its path or address.
        patience: Seconds after which a line says that a store is still being asked.

    Raises:
        TrovidError: If there is no driver for the address.
    """

    def __init__(self, root: str | Path, *, patience: float = PATIENCE) -> None:
        self.root = str(root)
        self._patience = patience
        self._store: Any = None
        if is_store(root):
            import fsspec

            self.root = self.root.rstrip("/")
            try:
                self._store, self._base = fsspec.core.url_to_fs(self.root)
            except (ImportError, ValueError) as error:
                raise TrovidError(
                    f"{root}: install fsspec's driver for such addresses ({error})"
                ) from error
            except Exception as error:  # each driver has errors of its own
                raise TrovidError(f"{root}: cannot be reached ({_reason(error)})") from error

    def __str__(self) -> str:
        return self.root

    def videos(self) -> list[str]:
        """Paths of all videos below, relative to the root; on the disk folders of images too.

        Raises:
            TrovidError: If it cannot be listed, or holds none.
        """
        found = sorted(self._stored() if self._store else self._on_disk(), key=natural_key)
        if not found:
            raise TrovidError(f"{self}: no video is below it; check the name")
        return found

    def _on_disk(self) -> Iterator[str]:
        root = Path(self.root)
        if not root.is_dir():
            raise TrovidError(f"{root}: no such folder; `shard` needs the folder of all videos")
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            path = Path(folder)
            if any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in files) and path != root:
                yield path.relative_to(root).as_posix()
            for name in files:
                if VIDEO_NAME.fullmatch(name) and not name.startswith("."):
                    yield (path / name).relative_to(root).as_posix()

    def _stored(self) -> list[str]:
        return [
            name
            for name in self._listed()
            if VIDEO_NAME.fullmatch(name.rpartition("/")[2])
            and not any(part.startswith(".") for part in name.split("/"))
        ]

    def _listed(self) -> list[str]:
        """All files of the store below, relative to the root, as they are now.

        Raises:
            TrovidError: If they cannot be listed.
        """
        with self._asking(str(self), "listed", "check the address"):
            self._store.invalidate_cache()  # other processes write too
            files = self._store.find(self._base)
        base = PurePosixPath(self._base)
        return [
            PurePosixPath(file).relative_to(base).as_posix() for file in files if file != self._base
        ]

    @contextmanager
    def _asking(self, name: str, done: str, cure: str = "") -> Generator[None]:
        """While it lasts a store is asked: its errors become ours, a long wait is said."""
        patience = LONG_PATIENCE if done in ("fetched", "written") else self._patience
        word = f"{name}: not {done} after {patience:g} s, still trying"
        timer = threading.Timer(patience, log.warning, (word,))
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as error:  # each driver has errors of its own
            if isinstance(error, PermissionError):
                cure = "check the credentials and what they allow"
            reason = f"{name}: cannot be {done} ({_reason(error)})"
            raise TrovidError(f"{reason}; {cure}" if cure else reason) from error
        finally:
            timer.cancel()

    def named(self, text: str, name: str, file: Path) -> str:
        """A message about a file that was fetched, with its address in place of the copy's path.

        Args:
            text: The message.
            name: Of the file, relative to the root.
            file: What `local` has given.
        """
        return text if self._store is None else text.replace(str(file), f"{self}/{name}")

    @contextmanager
    def local(self, name: str) -> Generator[Path]:
        """A file or folder of the disk; one of a store is fetched, and removed afterwards.

        Raises:
            TrovidError: If it cannot be fetched.
        """
        if self._store is None:
            yield Path(self.root) / name
            return
        with TemporaryDirectory(prefix="trovid-") as folder:
            file = Path(folder) / PurePosixPath(name).name
            with self._asking(f"{self}/{name}", "fetched"):
                self._store.get_file(f"{self._base}/{name}", str(file))
            try:
                yield file
            except TrovidError as error:
                raise TrovidError(self.named(str(error), name, file)) from error

    @contextmanager
    def writing(self, name: str) -> Generator[Path]:
        """A path of the disk to write to; at the end the file appears whole under its name.

        Raises:
            TrovidError: If it cannot be written.
        """
        if self._store is None:
            with replacing(Path(self.root) / name) as partial:
                yield partial
            return
        with TemporaryDirectory(prefix="trovid-") as folder:
            file = Path(folder) / PurePosixPath(name).name
            yield file
            target = f"{self._base}/{name}"
            with self._asking(f"{self}/{name}", "written"):
                if target.startswith("/"):  # elsewhere a bucket would be made of a wrong name
                    self._store.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                self._store.put_file(str(file), target)

    @contextmanager
    def whole(self, suffixes: Sequence[str]) -> Generator[Path]:
        """The folder on the disk; of one of a store the files whose names end so are fetched.

        Raises:
            TrovidError: If one cannot be fetched, or there is none.
        """
        if self._store is None:
            yield Path(self.root)
            return
        names = self.names(*suffixes)
        if not names:
            raise TrovidError(f"{self}: no results are below it; check the address")
        for name in names:
            if ".." in re.split(r"[/\\]", name):
                raise TrovidError(f"{self}: holds {name!r}, which leads out of a folder; remove it")
        with TemporaryDirectory(prefix="trovid-") as folder:
            files = [Path(folder, *name.split("/")) for name in names]
            for file in files:
                file.parent.mkdir(parents=True, exist_ok=True)
            with self._asking(str(self), "fetched"):
                self._store.get([f"{self._base}/{name}" for name in names], [*map(str, files)])
            try:
                yield Path(folder)
            except TrovidError as error:
                raise TrovidError(str(error).replace(folder, str(self))) from error

    def read(self, name: str) -> str | None:
        """The text of a small file; None where there is none."""
        try:
            if self._store is None:
                return (Path(self.root) / name).read_text(encoding="utf-8")
            with self._asking(f"{self}/{name}", "read"):
                try:
                    return self._store.cat_file(f"{self._base}/{name}").decode("utf-8")
                except FileNotFoundError:
                    return None
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise TrovidError(f"{self}/{name}: cannot be read ({error})") from error

    def write(self, name: str, text: str) -> None:
        """Writes a small file."""
        with self.writing(name) as file:
            file.write_text(text, encoding="utf-8")

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        if self._store is None:
            return (Path(self.root) / name).exists()
        with self._asking(f"{self}/{name}", "looked for"):
            self._store.invalidate_cache()
            return bool(self._store.exists(f"{self._base}/{name}"))

    def remove(self, name: str) -> None:
        """Removes a file where it is there."""
        if self._store is None:
            (Path(self.root) / name).unlink(missing_ok=True)
        elif self.exists(name):
            with self._asking(f"{self}/{name}", "removed"):
                self._store.rm_file(f"{self._base}/{name}")

    def names(self, *suffixes: str) -> list[str]:
        """All files below whose names end in one of these ways, relative to the root."""
        if self._store is not None:
            return sorted(name for name in self._listed() if name.endswith(suffixes))
        root = Path(self.root)
        files = (file.relative_to(root).as_posix() for file in root.rglob("*"))
        return sorted(file for file in files if file.endswith(suffixes))


def _reason(error: Exception) -> str:
    """What a driver says, or the kind of its error."""
    return str(error) or type(error).__name__
