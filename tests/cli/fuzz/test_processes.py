"""Signals, closed streams and damaged videos, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.fuzz.commands import BLUR, DETECT, EVALUATE, MODEL, SEGMENT, TRAIN
from tests.cli.fuzz.hostile import damage
from tests.cli.fuzz.invariants import CONTROLS, check_files
from tests.cli.fuzz.test_names import STEMS
from tests.cli.fuzz.trials import CASES, SEED, Words, case_folder, own_copy
from tests.cli.fuzz.whole_files import VIDEOS

SIGNALS = ("INT", "TERM", "HUP", "KILL")
STREAMS = (">&-", "2>&-", ">&- 2>&-", ">&- 2>&- <&-", ">/dev/full", "2>/dev/full", "| true", "<&-")
LOST = (">&-", ">&- 2>&-", ">&- 2>&- <&-", ">/dev/full")
"""Those without a stdout."""
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
VIDEO = "VIDEO"
COMMANDS: list[Words] = [
    ["detect", VIDEO, *DETECT, "--sheet"],
    ["segment", VIDEO, *SEGMENT, "--csv"],
    ["blur", VIDEO, *BLUR],
    ["explain", VIDEO, *MODEL, "--out", "out/why.png"],
    ["train", "longer.yaml", *TRAIN],
    ["evaluate", "--data", "labels.json", *EVALUATE],
    ["data", "convert", "labels.json", "out/yolo", "--to", "yolo"],
    ["data", "stats", "labels.json"],
    ["data", "check", "data"],
    ["info", VIDEO],
    ["recipes", "show", "recipe.yaml"],
]
WRITING = ("detect", "segment", "blur", "explain", "train", "evaluate")
REPLACING = ("detect", "segment", "blur", "explain")
"""Commands that replace what is there only where --overwrite tells them to."""
LONGEST_WAIT = 60


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ["signal", "stream", "damaged video"])
def test_in_a_process_of_its_own(seeds, tmp_path, kind):
    """Where a decoder brings the process down, or a signal comes at any moment."""
    for number in range(CASES):
        rng = random.Random(f"{SEED}:{kind}:{number}")
        with case_folder(seeds, tmp_path / "case") as case:
            KINDS[kind](rng, case)


def damaged(rng: random.Random, case: Path) -> None:
    chosen = rng.choice(sorted(VIDEOS))
    damage(own_copy(case / chosen), rng)
    process = started(f"exec {line_of(COMMANDS[0], chosen)}", case, rng)
    ended(process, {0, 1, 2}, case)


def streams(rng: random.Random, case: Path) -> None:
    """What is lost on the way out is said, and what was done is kept."""
    chosen = named(rng, case)
    words, stream = rng.choice(COMMANDS), rng.choice(STREAMS)
    process = started(f"{line_of(words, chosen)} {stream}", case, rng)
    expected = {2} if stream in LOST else {0, 1} if words[:2] == ["data", "check"] else {0}
    told = ended(process, expected, case)
    if words[0] in WRITING:
        assert any(path.is_file() for path in (case / "out").rglob("*")), f"nothing is kept: {told}"


def signals(rng: random.Random, case: Path) -> None:
    """A signal while files are written; of a killed run the next one leaves nothing behind."""
    chosen, name = named(rng, case), rng.choice(SIGNALS)
    words, number = rng.choice(COMMANDS), getattr(signal, f"SIG{name}")
    ignored = name != "KILL" and rng.random() < 0.2
    trap = f"trap '' {name}; " if ignored else ""
    process = started(f"{trap}exec {line_of(words, chosen)}", case, rng)
    begun = wait(process, case / "out") if words[0] in WRITING else wait(process, None, rng)
    with contextlib.suppress(ProcessLookupError):  # it may have ended
        os.killpg(process.pid, number)
    expected = {0, 1} if words[:2] == ["data", "check"] else {0}
    if name == "KILL":
        process.communicate(timeout=300)
        more = ["--overwrite"] if words[0] in REPLACING else []
        process = started(f"exec {line_of([*words, *more], chosen)}", case, rng)
        ended(process, expected, case)
        return
    if not ignored:
        expected |= {1, 2, 128 + number}
        if not begun or name == "INT":
            expected.add(-number)  # before trovid is there, or when all is done, it ends Python
    ended(process, expected, case, cut_short=words[0] == "blur")


KINDS = {"signal": signals, "stream": streams, "damaged video": damaged}


def named(rng: random.Random, case: Path) -> str:
    """A video, one in three under a name that others might not take."""
    chosen = rng.choice(sorted(VIDEOS))
    if rng.random() < 0.3:
        stem = rng.choice([stem for stem in STEMS if not stem.startswith("-")])
        name = stem + Path(chosen).suffix
        (case / chosen).rename(case / name)
        return name
    return chosen


def line_of(words: Words, chosen: str) -> str:
    arguments = [chosen if word == VIDEO else word for word in words]
    return shlex.join([sys.executable, "-m", "trovid", *arguments])


def started(line: str, case: Path, rng: random.Random) -> subprocess.Popen:
    environment = {**os.environ, "TROVID_QUIET": "", **(PLAIN if rng.random() < 0.3 else {})}
    return subprocess.Popen(
        ["sh", "-c", os.fsencode(line)],
        cwd=case,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait(process: subprocess.Popen, out: Path | None, rng: random.Random | None = None) -> bool:
    """Waits until a file is being written, or for a while; whether one is."""
    last = time.monotonic() + (LONGEST_WAIT if rng is None else rng.uniform(0.1, 5))
    while process.poll() is None and time.monotonic() < last:
        if out is not None and any(path.is_file() for path in out.rglob("*")):
            return True
        time.sleep(0.02)
    return False


def ended(
    process: subprocess.Popen, expected: set[int], case: Path, *, cut_short: bool = False
) -> str:
    """Everything said by a process that has ended as it should."""
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    said = f"{out.decode(errors='replace')}\n{err.decode(errors='replace')}"
    told = f"seed {SEED}: {process.args}: status {process.returncode}\n{said}"
    assert process.returncode in expected, told
    assert "Traceback" not in said or "/trovid/" not in said, told  # else Python's own start
    assert not CONTROLS.search(said), told
    check_files(case / "out", cut_short=cut_short and process.returncode != 0)
    return told
