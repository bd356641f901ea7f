"""One run of the command line on hostile things, and what must hold after it.

No traceback, no hang, nothing lost, nothing outside the output folder. The seed is printed;
TROVID_FUZZ_SEED repeats a run, TROVID_FUZZ_CASES sets how many cases each command and kind of file
gets.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.fuzz import invariants
from tests.cli.fuzz.invariants import UMASK, Words
from trovid.cli.main import main

SEED = int(os.environ.get("TROVID_FUZZ_SEED") or time.time_ns() % 10**6)
CASES = int(os.environ.get("TROVID_FUZZ_CASES") or 40)
FAST_CASES, FAST_SEED = 3, 19
OWN_PROCESSES = ("synthvid", "demo")
"""Commands that write from processes of their own, whose calls are not seen here."""
SECONDS = 60
MEMORY = 6 * 2**30
"""What a case may ask for beyond what the process has; the bombs ask for more."""


@contextlib.contextmanager
def case_folder(seeds: Path, place: Path) -> Iterator[Path]:
    """The whole files (as links, `own_copy` makes one a file) with an empty output folder `out`."""
    unread = shutil.ignore_patterns("trained", "stopped", "found", "others")
    shutil.copytree(seeds, place, ignore=unread, copy_function=os.link)
    (place / "out").mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place)


def own_copy(path: Path) -> Path:
    """Makes a file of a case, where it is there, one of its own, so that it can be changed."""
    if path.exists():
        contents = path.read_bytes()
        path.unlink()
        path.write_bytes(contents)
    return path


class Terminal(io.StringIO):
    """A stream that is shown as it is written."""

    def isatty(self) -> bool:
        return True


def run_here(*words: str, terminal: bool = False) -> tuple[object, str]:
    """Exit status and everything said, in this process; a run that hangs is ended."""

    def ended(number, frame):
        raise AssertionError(f"hangs: trovid {' '.join(words)}")

    out, err = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    before = signal.signal(signal.SIGALRM, ended)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, limits[1]))
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(list(words))
        raise AssertionError("main() must exit")
    except SystemExit as exited:
        status = exited.code
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)
    return status, f"{out.getvalue()}\n===\n{err.getvalue()}"


def trial(
    words: Words,
    sandbox: Path,
    case: Path,
    *,
    refused: bool | None = None,
    seconds: float | None = None,
    variables: Mapping[str, str] | None = None,
    terminal: bool = False,
) -> None:
    """One run of the command line in a folder of its own, and what must hold after it.

    Args:
        words: After `trovid`.
        sandbox: A folder around, in which nothing may change.
        case: The working folder, with the output folder `out`.
        refused: Whether the run must not (True) or must (False) end as if all was well.
        seconds: What a refusal may take of the processor; None where that is not looked at.
        variables: Of the environment, beside its own.
        terminal: Whether it is said to a terminal.
    """
    out, temporary, synced = case / "out", sandbox / "tmp", set()
    temporary.mkdir(exist_ok=True)
    before = invariants.look(sandbox, out)
    began, mask = time.process_time(), os.umask(UMASK)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(case)
            patch.setenv("TROVID_CACHE", str(out / "cache"))
            patch.setenv("TROVID_OFFLINE", "1")
            patch.setenv("TROVID_QUIET", "")
            patch.setenv("TERM", "xterm")
            for name, value in (variables or {}).items():
                patch.setenv(name, value)
            patch.setattr(tempfile, "tempdir", str(temporary))
            patch.setattr(os, "fsync", invariants.recording(os.fsync, synced))
            status, said = run_here(*words, terminal=terminal)
    finally:
        os.umask(mask)
    used = time.process_time() - began
    line = f"trovid {' '.join(words)}\n{said[:3000]}"
    try:
        invariants.check(status, said, words, terminal=terminal)
        assert refused is None or refused == (status != 0), f"status {status}: {line}"
        assert seconds is None or status == 0 or used < seconds, f"took {used:.1f} s: {line}"
        assert not (case / "executed").exists(), line
        invariants.check_place(sandbox, out, before, line)
        invariants.check_kept(before, status, line)
        if status == invariants.NOTHING_DONE:
            invariants.check_nothing_done(out, before, words, said)
        invariants.check_modes(out, before)
        if words[0] not in OWN_PROCESSES:
            invariants.check_on_disk(out, before, synced)
        invariants.check_files(out, before.files)
    except AssertionError as error:
        raise AssertionError(f"seed {SEED}: {error}") from error
