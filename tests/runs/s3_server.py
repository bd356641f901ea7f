"""moto's S3 server as a process on the loopback, for the driver that a user has."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port at which nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def variables(port: int) -> dict[str, str]:
    """What a user sets for a server of her own."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "anybody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }


@contextmanager
def s3_server(folder: Path) -> Generator[int]:
    """The port of a server that holds nothing yet."""
    port = free_port()
    with (folder / "server.log").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "server.log").read_text()
                time.sleep(0.1)
        else:
            raise AssertionError((folder / "server.log").read_text())
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def nobody_known(port: int) -> Generator[None]:
    """While it lasts the server asks who one is, and knows nobody."""
    _check_after(port, "0")
    try:
        yield
    finally:
        _check_after(port, "inf")


def _check_after(port: int, requests: str) -> None:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/moto-api/reset-auth",
        data=requests.encode(),
        headers={"Content-Type": "text/plain"},
    )
    urllib.request.urlopen(asked, timeout=30).close()
