"""A page in Chromium, driven by input as a person's: trusted keys, the mouse, a finger."""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from tests.external import need_chromium

ALONE = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
"""Without what a container lacks or a first start asks."""
KEYS = {"Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
LONGEST = 60
"""Seconds that an answer, or what is waited for, may take."""
HIGHER = 10
"""Beyond the descriptors 3 and 4, by which Chromium is spoken to."""


class Browser:
    """One page, by the DevTools protocol over pipes.

    Args:
        file: The page.
        profile: An empty folder for what the browser keeps.
    """

    def __init__(self, file: Path, profile: Path) -> None:
        theirs, self._out = os.pipe()
        self._in, answers = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, HIGHER) for end in (theirs, answers)]

        def connect() -> None:
            for number, end in zip((3, 4), ends, strict=True):
                os.dup2(end, number)

        words = [need_chromium(), *ALONE, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            [*words, "about:blank"], preexec_fn=connect, close_fds=False, stderr=subprocess.DEVNULL
        )
        for end in (theirs, answers, *ends):
            os.close(end)
        self._number, self._session, self._rest = 0, "", b""
        opened = self.ask("Target.createTarget", url=file.as_uri())["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=opened, flatten=True)
        self._session = attached["sessionId"]
        self.ask("Emulation.setFocusEmulationEnabled", enabled=True)
        self.ask("Emulation.setTouchEmulationEnabled", enabled=True)
        last = time.monotonic() + LONGEST
        there = f"document.readyState === 'complete' && document.URL === '{file.as_uri()}'"
        while not self.value(there):
            assert time.monotonic() < last, "the browser does not show the page"
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._session = ""
        try:
            self.ask("Browser.close")
            self._process.wait(LONGEST)
        finally:
            self._process.kill()
            os.close(self._in)
            os.close(self._out)

    def ask(self, method: str, **given: Any) -> Any:
        """The answer to a command of the protocol."""
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": given}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._out, json.dumps(command).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                waiting, _, _ = select.select([self._in], [], [], LONGEST)
                read = os.read(self._in, 1 << 16) if waiting else b""
                assert read, "the browser has ended, or says nothing"
                self._rest += read
            text, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(text)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives in the page."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, *keys: str) -> None:
        """Presses keys, one after the other."""
        for key in keys:
            for kind in ("rawKeyDown", "keyUp"):
                code = KEYS[key]
                self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)

    def hover(self, x: float, y: float) -> None:
        """Moves the mouse to a place of the window."""
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def tap(self, x: float, y: float) -> None:
        """Touches a place of the window with a finger."""
        self.ask("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.ask("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
