"""Signals, closed streams and damaged videos, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.fuzz.hostile import damage
from tests.cli.fuzz.trials import CASES, SEED, case_folder, check_files, own_copy
from tests.cli.fuzz.whole_files import VIDEOS
from tests.cli.fuzz.words import BLUR, DETECT, EVALUATE, MODEL, SEGMENT, TRAIN

SIGNALS = ("INT", "TERM", "HUP")
STREAMS = (">&-", "2>&-", ">&- 2>&-", ">&- 2>&- <&-", ">/dev/full", "2>/dev/full", "| true", "<&-")
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ["signal", "stream", "damaged video"])
def test_in_a_process_of_its_own(seeds, tmp_path, kind):
    """Where a decoder brings the process down, or a signal comes at any moment."""
    for number in range(CASES):
        rng = random.Random(f"{SEED}:{kind}:{number}")
        with case_folder(seeds, tmp_path / "case") as case:
            in_a_process(kind, rng, case)


def in_a_process(kind: str, rng: random.Random, case: Path) -> None:
    chosen = rng.choice(sorted(VIDEOS))
    words = rng.choice(
        [
            ["detect", chosen, *DETECT, "--sheet"],
            ["train", "longer.yaml", *TRAIN],
            ["evaluate", "--data", "labels.json", *EVALUATE],
            ["segment", chosen, *SEGMENT, "--csv"],
            ["blur", chosen, *BLUR],
            ["explain", chosen, *MODEL, "--out", "out/why.png"],
            ["data", "convert", "labels.json", "out/yolo", "--to", "yolo"],
            ["data", "check", "data"],
            ["merge", ".", "--out", "out/all.json"],
            ["info", chosen],
            ["recipes", "show", "recipe.yaml"],
        ][: 1 if kind == "damaged video" else None]
    )
    line = " ".join([sys.executable, "-m", "trovid.cli.main", *words])
    if kind == "damaged video":
        damage(own_copy(case / chosen), rng)
    elif kind == "stream":
        line = f"{line} {rng.choice(STREAMS)}"
    else:
        line = f"exec {line}"
    environment = {**os.environ, "TROVID_QUIET": "", **(PLAIN if rng.random() < 0.3 else {})}
    process = subprocess.Popen(
        ["sh", "-c", line],
        cwd=case,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    expected = {0, 1, 2}
    try:
        if kind == "signal":
            name = rng.choice(SIGNALS)
            number = getattr(signal, f"SIG{name}")
            expected |= {128 + number, -number}  # before Python is there, the signal itself ends it
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=rng.uniform(0.1, 15))
            with contextlib.suppress(ProcessLookupError):  # it may have ended
                os.killpg(process.pid, number)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    told = f"seed {SEED}: {line}\n{out.decode(errors='replace')}\n{err.decode(errors='replace')}"
    assert process.returncode in expected, told
    assert b"Traceback" not in out + err, told
    check_files(case / "out")
