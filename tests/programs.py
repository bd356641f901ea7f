"""Python programs in processes of their own, which find torch imported already.

Half of the time of a short program would else go into that import. trovid itself is not there yet:
a program sees what `python -c` sees, in a process of its own, with its own environment and end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from subprocess import PIPE, CompletedProcess

SERVER = """
import gc, json, os, sys
gc.disable()
import torch, torchvision
gc.freeze()
assert "trovid" not in sys.modules
print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    number = os.fork()
    if not number:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), flush=True)
else:
    os._exit(0)

def begin():
    from types import ModuleType
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
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=PIPE, stdout=PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return server


def run_program(
    code: str,
    words: Sequence[str | Path] = (),
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> CompletedProcess[str]:
    """Runs `python -c CODE WORD...` to its end.

    Args:
        code: The program.
        words: Its arguments.
        environment: All its variables; by default those of this process. What Python, the loader
            and the C library read when they start is that of this process.
        folder: Its working directory; by default this process's.
    """
    variables = dict(os.environ if environment is None else environment)
    if not hasattr(os, "fork"):
        command = [sys.executable, "-c", code, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=variables, cwd=folder)
    with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
        job = {
            "code": code,
            "words": [str(word) for word in words],
            "environment": variables,
            "folder": str(folder or Path.cwd()),
            "out": out.name,
            "err": err.name,
        }
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return CompletedProcess(["python", "-c", code], status, out.read(), err.read())
