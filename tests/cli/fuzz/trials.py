"""One run of the command line on hostile things, and what must hold after it.

No traceback, no hang, nothing lost, nothing outside the output folder. The seed is printed;
TROVID_FUZZ_SEED repeats a run, TROVID_FUZZ_CASES sets how many cases each command and kind of file
gets.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from trovid.cli.main import main
from trovid.storage.tensor_files import read_tensors
from trovid.video.opening import open_video

SEED = int(os.environ.get("TROVID_FUZZ_SEED") or time.time_ns() % 10**6)
CASES = int(os.environ.get("TROVID_FUZZ_CASES") or 40)
FAST_CASES, FAST_SEED = 3, 19
SECONDS = 60
MEMORY = 6 * 2**30
"""What a case may ask for beyond what the process has; the bombs ask for more."""
Words = list[str]


@contextlib.contextmanager
def case_folder(seeds: Path, place: Path) -> Iterator[Path]:
    """The whole files (as links, `own_copy` makes one a file) with an empty output folder `out`."""
    unread = shutil.ignore_patterns("trained", "stopped", "found")
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


def run_here(*words: str) -> tuple[object, str]:
    """Exit status and everything said, in this process; a run that hangs is ended."""

    def ended(number, frame):
        raise AssertionError(f"hangs: trovid {' '.join(words)}")

    out, err = io.StringIO(), io.StringIO()
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


def check(status: object, said: str, words: Words) -> None:
    line = f"seed {SEED}: trovid {' '.join(words)}\n{said[:3000]}"
    assert status in (0, 1, 2), line
    assert "Traceback" not in said, line
    assert "out of memory" not in said, line
    assert "\x1b" not in said, line
    complaints = [text for text in said.splitlines() if text.startswith("trovid: ")]
    found = words[0] == "info" and status == 1 and "\n  damage" in said
    found |= words[:2] == ["data", "check"] and status == 1 and "errors, " in said
    assert complaints or found or status == 0, line
    assert all(len(text) < 3000 for text in complaints), line


def check_files(out: Path, kept: Mapping[Path, bytes] | None = None) -> None:
    """Nothing hidden is left, and what has a name is whole, unless it was here before."""
    frames = {}
    for path in sorted(out.rglob("*")) if out.exists() else ():
        assert ".partial" not in path.name, f"{path} is left behind"
        if path.is_file() and path.read_bytes() == (kept or {}).get(path):
            continue
        if path.suffix == ".json":
            document = json.loads(path.read_text())
            if isinstance(document, dict) and {"head", "videos"} <= document.keys():
                frames[path.stem] = sum(len(record["frames"]) for record in document["videos"])
        elif path.suffix == ".csv":
            assert len({len(row) for row in csv.reader(path.open(newline=""))}) == 1
        elif path.suffix == ".png":
            assert path.read_bytes().endswith(b"IEND\xaeB`\x82")
        elif path.suffix == ".safetensors":
            read_tensors(path)
    for path in out.rglob("*.mp4") if out.exists() else ():
        with open_video(path) as reader:
            assert len(reader) == frames[path.stem]
            assert reader.problems == []


def listing(place: Path, without: Path) -> dict[str, tuple[int, int]]:
    """Every file that is not in the output folder, with size and time."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in place.rglob("*")
        if path.is_file() and without not in path.parents
    }


def trial(words: Words, sandbox: Path, case: Path, *, refused: bool | None = None) -> None:
    """One run of the command line in a folder of its own, and what must hold after it.

    Args:
        words: After `trovid`.
        sandbox: A folder around, in which nothing may change.
        case: The working folder, with the output folder `out`.
        refused: Whether the run must not (True) or must (False) end as if all was well.
    """
    out = case / "out"
    kept = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} if out.exists() else {}
    before = listing(sandbox, out)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(case)
        patch.setenv("TROVID_CACHE", str(case / "out" / "cache"))
        patch.setenv("TROVID_OFFLINE", "1")
        patch.setenv("TROVID_QUIET", "")
        status, said = run_here(*words)
    check(status, said, words)
    line = f"seed {SEED}: trovid {' '.join(words)}\n{said[:3000]}"
    assert refused is None or refused == (status != 0), f"status {status}: {line}"
    assert listing(sandbox, out) == before, line
    assert not (case / "executed").exists(), line
    for path, contents in kept.items():
        ended = status == 0 and path.with_suffix(".safetensors").exists()  # a training's checkpoint
        assert path.exists() or ended, f"{path} is lost: {line}"
        if status == 2 and path.suffix != ".jsonl":
            assert path.read_bytes() == contents, f"{path} has changed: {line}"
    check_files(out, kept)
