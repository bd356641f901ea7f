"""Processes of an experiment end with it: trainings after a step, others at once, none begins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trovid.experiments.pool import process_pool, stopping

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from tests.experiments.test_pool import begin, endless, patient
from trovid.cli.signals import ended_in_order
from trovid.experiments.pool import process_pool

if __name__ == "__main__":
    folder, fresh = Path(sys.argv[1]), sys.argv[2] == "fresh"
    with ended_in_order(), process_pool(2, fresh=fresh) as pool:
        futures = [pool.submit(patient, folder), pool.submit(endless, folder)]
        futures += [pool.submit(begin, folder) for _ in range(4)]
        for future in futures:
            future.result()
"""


def patient(folder: Path) -> None:
    """As a training: goes on until it is told, and then completes something."""
    with stopping() as stop:
        (folder / "patient").write_text(str(os.getpid()))
        while not stop():
            time.sleep(0.01)
        (folder / "completed").touch()


def endless(folder: Path) -> None:
    try:
        (folder / "endless").write_text(str(os.getpid()))
        time.sleep(600)
    finally:
        (folder / "unwound").touch()


def begin(folder: Path) -> None:
    (folder / "begun").touch()


def fail() -> None:
    raise ValueError("as it has to")


def seen(*files: Path) -> None:
    deadline = time.monotonic() + 60
    while not all(file.exists() and file.read_text() for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("name", "to", "kind"),
    [
        ("SIGINT", "first", "kept"),
        ("SIGINT", "first", "fresh"),
        ("SIGINT", "group", "kept"),
        ("SIGHUP", "group", "kept"),
        ("SIGTERM", "group", "kept"),
    ],
)
def test_what_ends_the_first_process_ends_all(tmp_path, name, to, kind):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    default = "import signal, runpy, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    run = f"{default}; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    words = [sys.executable, "-c", run, str(program), str(tmp_path), kind]
    errors = tmp_path / "errors"
    with errors.open("w") as stderr:
        process = subprocess.Popen(words, env=environment, stderr=stderr, start_new_session=True)
    try:
        seen(tmp_path / "patient", tmp_path / "endless")
        send = os.killpg if to == "group" else os.kill
        send(process.pid, getattr(signal, name))
        assert process.wait(timeout=60) != 0
    finally:
        process.kill()
    assert (tmp_path / "completed").exists()
    assert (tmp_path / "unwound").exists()
    assert not (tmp_path / "begun").exists()
    for file in ("patient", "endless"):
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / file).read_text()), 0)
    assert "Exception in thread" not in errors.read_text()


def together(folder: Path) -> None:
    with process_pool(2) as pool:
        pool.submit(patient, folder)
        seen(folder / "patient")
        pool.submit(fail).result()


def test_an_error_ends_the_others(tmp_path):
    with pytest.raises(ValueError, match="as it has to"):
        together(tmp_path)
    assert (tmp_path / "completed").exists()


def test_results_come_back():
    with process_pool(1) as pool:
        assert pool.submit(max, 3, 5).result() == 5
