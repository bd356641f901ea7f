"""Python programs in processes of their own, which find torch imported already.

Half of the time of a short program would else go into that import. trovid itself is not there yet:
a program sees what `python -c` sees, in a process of its own, with its own environment and end.
None is waited for without a bound.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from subprocess import PIPE, CompletedProcess, TimeoutExpired

LONGEST = 600
"""Seconds that a program may take; most tests may take less."""
COMMAND = "from trovid.__main__ import main; main()"
"""The program `trovid`, whose words are the program's."""
SERVER = """
import gc, json, os, signal, sys
gc.disable()
import torch, torchvision
gc.freeze()
assert "trovid" not in sys.modules
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who keep a program end unnoticed
for line in sys.stdin:
    job = json.loads(line)
    if os.fork():
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    said = os.open(job["told"], os.O_WRONLY)
    number = os.fork()
    if not number:
        break
    try:
        os.write(said, b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]))
    finally:
        os._exit(0)  # whether or not somebody still listens
else:
    os._exit(0)

def begin():
    from types import ModuleType
    if job["leads"]:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the back ignores it
    os.write(said, b"%d\\n" % os.getpid())  # from here on it can be sent signals
    os.close(said)
    for stream, (path, flags) in enumerate([
        (os.devnull, os.O_RDONLY), (job["out"], os.O_WRONLY), (job["err"], os.O_WRONLY)
    ]):
        opened = os.open(path, flags)
        os.dup2(opened, stream)
        os.close(opened)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.argv = ["-c", *job["words"]]
    sys.modules["__main__"] = ModuleType("__main__")
    gc.enable()
    return job["code"], vars(sys.modules["__main__"])

exec(*begin())
"""


@cache
def _server() -> subprocess.Popen[str]:
    """One for all tests of a process; it ends with it, when its stdin is closed."""
    command = [sys.executable, "-c", SERVER]
    return subprocess.Popen(command, stdin=PIPE, stdout=subprocess.DEVNULL, text=True)


class Program:
    """A program that runs, as `subprocess.Popen` shows it; what it writes goes to files."""

    def __init__(self, job: dict[str, object]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        places = {name: Path(self._folder.name) / name for name in ("told", "out", "err")}
        self._out, self._err = places["out"], places["err"]
        os.mkfifo(places["told"])
        self._told = os.open(places["told"], os.O_RDONLY | os.O_NONBLOCK)
        for file in (self._out, self._err):
            file.touch()
        server = _server()
        assert server.stdin is not None
        server.stdin.write(json.dumps({**job, **{k: str(v) for k, v in places.items()}}) + "\n")
        server.stdin.flush()
        self._read = b""
        self.returncode: int | None = None
        self.pid = int(self._line(LONGEST))

    def __del__(self) -> None:
        os.close(self._told)

    def _line(self, seconds: float) -> bytes:
        """What the process that keeps the program says next."""
        last = time.monotonic() + seconds
        while b"\n" not in self._read:
            left = max(0.0, last - time.monotonic())
            if not select.select([self._told], [], [], left)[0]:
                raise TimeoutExpired("python -c", seconds)
            read = os.read(self._told, 100)
            assert read, "nobody keeps the program"
            self._read += read
        line, _, self._read = self._read.partition(b"\n")
        return line

    def wait(self, timeout: float = LONGEST) -> int:
        if self.returncode is None:
            self.returncode = int(self._line(timeout))
        return self.returncode

    def poll(self) -> int | None:
        with suppress(TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it may end at this moment
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = LONGEST) -> tuple[str, str]:
        self.wait(timeout)
        return self._out.read_text(), self._err.read_text()


def start_program(
    code: str,
    words: Sequence[str | Path] = (),
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    leads: bool = False,
) -> Program | subprocess.Popen[str]:
    """Starts `python -c CODE WORD...`.

    Args:
        code: The program.
        words: Its arguments.
        environment: All its variables; by default those of this process. What Python, the loader
            and the C library read when they start is that of this process.
        folder: Its working directory; by default this process's.
        leads: Whether it leads a session and a group of processes.
    """
    variables = dict(os.environ if environment is None else environment)
    if not hasattr(os, "fork"):
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, words)],
            stdout=PIPE,
            stderr=PIPE,
            text=True,
            env=variables,
            cwd=folder,
            start_new_session=leads,
        )
    job = {"code": code, "words": [str(word) for word in words], "environment": variables}
    return Program({**job, "folder": str(folder or Path.cwd()), "leads": leads})


def run_program(
    code: str,
    words: Sequence[str | Path] = (),
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout: float = LONGEST,
) -> CompletedProcess[str]:
    """Runs `python -c CODE WORD...` to its end; see `start_program`."""
    program = start_program(code, words, environment=environment, folder=folder)
    try:
        out, err = program.communicate(timeout=timeout)
    finally:
        program.kill()
    return CompletedProcess(["python", "-c", code], program.wait(), out, err)
