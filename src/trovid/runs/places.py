"""Folders that may lie anywhere: on the disk, or at an address such as s3://bucket/folder."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from trovid.errors import TrovidError
from trovid.files import replacing
from trovid.runs.jobs import VIDEO_NAME
from trovid.video.images import SUFFIXES as IMAGE_SUFFIXES
from trovid.video.images import natural_key

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

    Raises:
        TrovidError: If there is no driver for the address.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._store: Any = None
        if is_store(root):
            import fsspec

            try:
                self._store, self._base = fsspec.core.url_to_fs(self.root)
            except (ImportError, ValueError) as error:
                raise TrovidError(f"{root}: {error}; install fsspec's driver for it") from error

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
            own = Path(folder)
            if any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in files) and own != root:
                yield own.relative_to(root).as_posix()
            for name in files:
                if VIDEO_NAME.fullmatch(name) and not name.startswith("."):
                    yield (own / name).relative_to(root).as_posix()

    def _stored(self) -> list[str]:
        try:
            files = self._store.find(self._base)
        except Exception as error:
            raise TrovidError(f"{self}: cannot be listed ({error}); check the address") from error
        base = PurePosixPath(self._base)
        return [
            PurePosixPath(file).relative_to(base).as_posix()
            for file in files
            if VIDEO_NAME.fullmatch(PurePosixPath(file).name)
        ]

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
            try:
                self._store.get_file(f"{self._base}/{name}", str(file))
            except Exception as error:  # each driver has errors of its own
                raise TrovidError(f"{self}/{name}: cannot be fetched ({error})") from error
            yield file

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
            try:
                self._store.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                self._store.put_file(str(file), target)
            except Exception as error:
                raise TrovidError(f"cannot write {self}/{name} ({error})") from error

    @contextmanager
    def whole(self) -> Generator[Path]:
        """The folder on the disk; one of a store is fetched with all it holds.

        Raises:
            TrovidError: If it cannot be fetched.
        """
        if self._store is None:
            yield Path(self.root)
            return
        with TemporaryDirectory(prefix="trovid-") as folder:
            for name in self.names(""):
                file = Path(folder) / name
                file.parent.mkdir(parents=True, exist_ok=True)
                try:
                    self._store.get_file(f"{self._base}/{name}", str(file))
                except Exception as error:
                    raise TrovidError(f"{self}/{name}: cannot be fetched ({error})") from error
            yield Path(folder)

    def read(self, name: str) -> str | None:
        """The text of a small file; None where there is none."""
        try:
            if self._store is None:
                return (Path(self.root) / name).read_text(encoding="utf-8")
            return self._store.cat_file(f"{self._base}/{name}").decode("utf-8")
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
        return bool(self._store.exists(f"{self._base}/{name}"))

    def remove(self, name: str) -> None:
        """Removes a file where it is there."""
        if self._store is None:
            (Path(self.root) / name).unlink(missing_ok=True)
        elif self.exists(name):
            self._store.rm_file(f"{self._base}/{name}")

    def names(self, suffix: str) -> list[str]:
        """All files below whose names end so, relative to the root."""
        if self._store is None:
            root = Path(self.root)
            return sorted(file.relative_to(root).as_posix() for file in root.rglob(f"*{suffix}"))
        base = PurePosixPath(self._base)
        files = self._store.find(self._base) if self._store.exists(self._base) else []
        return sorted(
            PurePosixPath(file).relative_to(base).as_posix()
            for file in files
            if file.endswith(suffix)
        )
