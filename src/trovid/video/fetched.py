"""Files at http addresses: fetched whole into a temporary file, then read as a file is."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trovid.errors import TrovidError, without_password
from trovid.progress import bar
from trovid.video.file import FileReader
from trovid.video.images import SUFFIXES, PictureReader
from trovid.video.live import stream_name
from trovid.video.protocols import BEGINNINGS

if TYPE_CHECKING:
    import httpx
    import numpy as np

WEB = re.compile(r"https?://.+", re.IGNORECASE)
PATIENCE = 30.0
"""Seconds without any data after which a connection counts as broken."""
ENDLESS = "or give `online` to take it as a stream"


def is_web_address(word: str) -> bool:
    """Whether a word is an http or https address.

    Example:
        >>> [is_web_address(word) for word in ("https://host/a.mp4", "rtsp://host/a", "a.mp4")]
        [True, False, False]
    """
    return bool(WEB.fullmatch(word))


def is_picture_address(word: str) -> bool:
    """Whether a word is an address of an image file, by the ending of its path.

    Example:
        >>> [is_picture_address(f"http://host/{name}") for name in ("a.PNG?b=1", "a.mp4?b=1.png")]
        [True, False]
    """
    return is_web_address(word) and _suffix(word).lower() in SUFFIXES


def fetched(
    address: str,
    *,
    frame_rate: float = 0.0,
    stop: Callable[[], bool] = lambda: False,
    show_progress: bool = False,
) -> FetchedReader | FetchedPicture:
    """A video or image file at an http address, by the ending of its path.

    Args:
        address: http or https.
        frame_rate: Frames per second of an image.
        stop: Is asked while the file comes in whether to give up.
        show_progress: Whether a bar is shown meanwhile.

    Raises:
        TrovidError: If it cannot be fetched, has no stated length, is a playlist, no video or no
            image.
    """
    copy = _Copy(address, stop, show_progress)
    if is_picture_address(address):
        return FetchedPicture(copy, frame_rate=frame_rate)
    return FetchedReader(copy)


class FetchedReader(FileReader):
    """A video file at an http address.

    It is fetched once, into a temporary file that goes with the reader. Whether an address names a
    file is seen by the length that the server states; without one it is a stream without end.

    Args:
        copy: What was fetched.

    Raises:
        TrovidError: See `fetched`.
    """

    def __init__(self, copy: _Copy) -> None:
        self._copy = copy
        with copy.kept_if_readable():
            super().__init__(copy.path)
        self.source = without_password(copy.address)


class FetchedPicture(PictureReader):
    """An image file at an http address, which is fetched as a video file is.

    Args:
        copy: What was fetched.
        frame_rate: Frames per second.

    Raises:
        TrovidError: See `fetched`.
    """

    def __init__(self, copy: _Copy, *, frame_rate: float = 0.0) -> None:
        self._copy = copy
        with copy.kept_if_readable():
            super().__init__(copy.path, frame_rate=frame_rate)
        self.source = without_password(copy.address)
        self.problems = [problem.replace(str(copy.path), self.source) for problem in self.problems]

    def _picture(self, index: int) -> np.ndarray:
        with self._copy.named_by_address():
            return super()._picture(index)


class _Copy:
    """What an address holds, in a temporary folder that goes with this object."""

    def __init__(self, address: str, stop: Callable[[], bool], show_progress: bool) -> None:
        self.address = address
        self._folder = tempfile.TemporaryDirectory(prefix="trovid-", ignore_cleanup_errors=True)
        self.path = Path(self._folder.name) / (stream_name(address) + _suffix(address))
        with self.kept_if_readable():
            _fetch(address, self.path, stop, show_progress)

    @contextmanager
    def kept_if_readable(self) -> Generator[None]:
        """Names errors as `named_by_address`; with one the file goes, not with its last user."""
        try:
            with self.named_by_address():
                yield
        except BaseException:
            self._folder.cleanup()
            raise

    @contextmanager
    def named_by_address(self) -> Generator[None]:
        """Has errors name the address, without who asks for it, in place of the path."""
        try:
            yield
        except TrovidError as error:
            message = str(error).replace(str(self.path), self.address)
            raise TrovidError(without_password(message)) from error


def _suffix(address: str) -> str:
    return PurePosixPath(urlsplit(address).path).suffix


def _fetch(address: str, path: Path, stop: Callable[[], bool], show_progress: bool) -> None:
    import httpx

    from trovid import __version__

    headers = {"User-Agent": f"trovid/{__version__}", "Accept-Encoding": "identity"}
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=PATIENCE, headers=headers) as client,
            client.stream("GET", address) as response,
        ):
            _receive(address, response, path, stop, show_progress)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError) as error:
        reason = str(error) or type(error).__name__
        raise TrovidError(f"{address}: cannot be fetched ({reason}); check it") from error
    except OSError as error:
        raise TrovidError(
            f"{address}: cannot be kept in {path.parent} ({error.strerror}); free space, or name "
            "another folder by TMPDIR"
        ) from error


def _receive(
    address: str,
    response: httpx.Response,
    path: Path,
    stop: Callable[[], bool],
    show_progress: bool,
) -> None:
    plain = [hop.url for hop in (*response.history, response) if hop.url.scheme != "https"]
    if address.lower().startswith("https:") and plain:
        raise TrovidError(f"{address}: leads to {plain[0]}, which is not encrypted")
    if not response.is_success:
        answer = f"{response.status_code} {response.reason_phrase}"
        raise TrovidError(f"{address}: the server answers {answer}; check the address")
    length = response.headers.get("Content-Length", "")
    if not length.isdecimal():
        raise TrovidError(
            f"{address}: has no stated end to look ahead to: fetch it yourself and name the file, "
            f"{ENDLESS}"
        )
    packed = response.headers.get("Content-Encoding", "identity")
    if packed.lower() != "identity":
        raise TrovidError(
            f"{address}: comes packed ({packed}), so that nobody knows its size: fetch it yourself "
            "and name the file"
        )
    total = int(length)
    free = shutil.disk_usage(path.parent).free
    if total > free:
        raise TrovidError(
            f"{address}: has {total} bytes, but {path.parent} has room for {free}: free space, or "
            "name another folder by TMPDIR"
        )
    done, megabyte = 0, 10**6
    with path.open("wb") as file, bar(path.name, unit="MB", shown=show_progress) as tick:
        for chunk in response.iter_bytes():
            head = b"" if done else chunk.removeprefix(b"\xef\xbb\xbf").lstrip()
            if any(head.startswith(word) for word in BEGINNINGS):
                raise TrovidError(
                    f"{address}: is a playlist: name the video that it leads to, {ENDLESS}"
                )
            if stop():
                raise TrovidError(f"{address}: stopped while it was fetched")
            file.write(chunk)
            done += len(chunk)
            tick(done // megabyte, max(done, total) // megabyte)
