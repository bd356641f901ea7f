"""Downloads that arrive whole and as promised, or not at all; broken ones are resumed."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from trovid import __version__
from trovid.errors import TrovidError
from trovid.files import unwritable
from trovid.storage.hashes import sha256_of

OFFLINE_VARIABLE = "TROVID_OFFLINE"
LONGEST_PAUSE = 60.0
log = logging.getLogger("trovid")
Tick = Callable[[int, int], None]


class _TryAgain(Exception):
    """The server is reachable but cannot serve now; `pause` is how long it asks to wait."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


def check_hash(path: Path, sha256: str) -> str:
    """The SHA-256 of a file that must begin with given digits.

    Raises:
        TrovidError: If it begins otherwise.
    """
    found = sha256_of(path)
    if not found.startswith(sha256):
        raise TrovidError(
            f"{path}: its SHA-256 begins with {found[: len(sha256)]}, but must begin with {sha256}:"
            " the file is damaged or another one; delete it to download it anew"
        )
    return found


def download(
    address: str,
    path: Path,
    *,
    sha256: str,
    size: int | None = None,
    progress: Tick | None = None,
    attempts: int = 5,
    pause: float = 0.5,
    patience: float = 30.0,
) -> Path:
    """Makes sure that a file is there with the promised content.

    A file that is there already is only checked. Otherwise one process downloads it, others wait
    for it. What arrives is kept beside it until it is complete, so a broken transfer goes on where
    it was, in this call or in a later one. Proxies and certificates are those of the environment
    (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE). With TROVID_OFFLINE set nothing is downloaded.

    Args:
        address: http or https.
        path: Where the file belongs.
        sha256: First hexadecimal digits of its SHA-256.
        size: Its size in bytes, if known.
        progress: Called with (bytes there, bytes in all; 0 where unknown).
        attempts: Attempts in a row that may bring nothing new.
        pause: Seconds before the second attempt; doubled before each further one.
        patience: Seconds without any data after which a connection counts as broken.

    Returns:
        `path`.

    Raises:
        TrovidError: If there is no connection, no such file, or it has another content.
    """
    if path.exists():
        check_hash(path, sha256)
        return path
    if os.environ.get(OFFLINE_VARIABLE, "0") not in ("", "0"):
        raise TrovidError(
            f"{path.name} is not here and {OFFLINE_VARIABLE} forbids to download it: unset it, or "
            f"fetch {address} elsewhere and place it as {path}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            if not path.exists():
                transfer = _Transfer(address, path, size, progress, attempts, pause, patience)
                transfer.run(sha256)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


@contextmanager
def _alone(path: Path) -> Generator[None]:
    """One process at a time; says when it has to wait."""
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("%s: waiting for another process that is downloading it", path.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _Transfer:
    """One file on its way."""

    def __init__(
        self,
        address: str,
        path: Path,
        size: int | None,
        progress: Tick | None,
        attempts: int,
        pause: float,
        patience: float,
    ) -> None:
        self.address = address
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self.size = size
        self.progress = progress
        self.attempts = attempts
        self.pause = pause
        self.patience = patience

    def run(self, sha256: str) -> None:
        """Receive, check, put into place. A resumed file that is wrong is fetched once anew."""
        while True:
            resumed = self._receive()
            found = sha256_of(self.partial)
            if found.startswith(sha256):
                self.partial.replace(self.path)
                return
            received = self.partial.stat().st_size
            self.partial.unlink()
            if not resumed:
                raise TrovidError(
                    f"{self.address}: the SHA-256 of what arrived ({received} bytes) begins with "
                    f"{found[: len(sha256)]}, but must begin with {sha256}: it is damaged or "
                    "another file and was thrown away; try again later or another mirror"
                )
            log.warning("%s: does not fit what was there; fetched anew", self.path.name)

    def _receive(self) -> bool:
        """Fill `partial`, with as many attempts as it takes; whether any of it was resumed."""
        best = self._offset()
        resumed, failures = False, 0
        try:
            client = httpx.Client(
                follow_redirects=True,
                timeout=self.patience,
                headers={"User-Agent": f"trovid/{__version__}", "Accept-Encoding": "identity"},
            )
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise TrovidError(f"the proxy in the environment cannot be used ({error})") from error
        with client:
            while True:
                try:
                    return self._attempt(client) or resumed
                except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
                    raise TrovidError(f"{self.address}: cannot be downloaded ({error})") from error
                except (httpx.TransportError, _TryAgain) as error:
                    resumed = True
                    failures = 1 if self._offset() > best else failures + 1
                    best = max(best, self._offset())
                    if failures >= self.attempts:
                        raise TrovidError(self._unreachable(error)) from error
                    asked = error.pause if isinstance(error, _TryAgain) else 0.0
                    wait = self.pause * 2 ** (failures - 1) * random.uniform(0.8, 1.2)
                    log.log(
                        logging.WARNING if best else logging.INFO,
                        "%s: %s; going on at %d bytes",
                        self.path.name,
                        _reason(error),
                        best,
                    )
                    time.sleep(min(max(wait, asked), LONGEST_PAUSE))

    def _attempt(self, client: httpx.Client) -> bool:
        """One request; whether it went on from what was there."""
        offset = self._offset()
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with client.stream("GET", self.address, headers=headers) as response:
            self._check(response, offset)
            resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
            there = offset if resumed else 0
            total = self.size or there + int(response.headers.get("Content-Length", -there))
            with self.partial.open("ab" if resumed else "wb") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)
                    there += len(chunk)
                    if self.progress:
                        self.progress(there, total)
        if self.size is not None and there < self.size:
            raise _TryAgain(f"only {there} of {self.size} bytes arrived")
        return resumed

    def _check(self, response: httpx.Response, offset: int) -> None:
        code = response.status_code
        if self.address.startswith("https:") and response.url.scheme != "https":
            raise TrovidError(f"{self.address} leads to {response.url}, which is not encrypted")
        if code in (408, 425, 429) or code >= 500:
            asked = response.headers.get("Retry-After", "")
            raise _TryAgain(f"the server answers {code}", float(asked) if asked.isdigit() else 0.0)
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
        unusable = code == httpx.codes.PARTIAL_CONTENT and not begins
        if code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE or unusable:
            self.partial.unlink(missing_ok=True)
            raise _TryAgain("the server does not resume")
        if not response.is_success:
            raise TrovidError(
                f"{self.address}: the server answers {code} {response.reason_phrase}: fetch the "
                f"file elsewhere and place it as {self.path}, or name a mirror by TROVID_MIRROR"
            )

    def _offset(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _unreachable(self, error: Exception) -> str:
        return (
            f"cannot download {self.address} ({_reason(error)}): check the network and HTTPS_PROXY,"
            f" or fetch it elsewhere and place it as {self.path}; calling again goes on at "
            f"{self._offset()} bytes"
        )


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return "no data came in time" if isinstance(error, httpx.ReadTimeout) else text
