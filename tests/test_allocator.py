"""Freed memory is kept where glibc is asked to, and nowhere else."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from tests.cli.tiny_model import save_tiny_model
from tests.inference.test_long_video import peak_memory, write
from trovid.allocator import keep_freed_memory
from trovid.cli.main import main
from trovid.errors import TrovidError

GLIBC = platform.libc_ver()[0] == "glibc"
VARIABLES = (
    "TROVID_MALLOC",
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "GLIBC_TUNABLES",
)

FAULTS = """
import resource, sys
import numpy as np
from trovid.allocator import keep_freed_memory
kept = keep_freed_memory()
for _ in range(2):
    np.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    np.ones(2**23)  # 64 MiB
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.skipif(not GLIBC, reason="another C library")
@pytest.mark.parametrize(
    ("variables", "kept"),
    [
        ({}, True),
        ({"TROVID_MALLOC": "keep"}, True),
        ({"GLIBC_TUNABLES": "glibc.rtld.nns=3"}, True),
        ({"TROVID_MALLOC": "system"}, False),
        ({"MALLOC_TRIM_THRESHOLD_": "131072"}, False),
        ({"GLIBC_TUNABLES": "glibc.malloc.mmap_max=9"}, False),
    ],
)
def test_pages_of_large_arrays_are_touched_anew_or_not(variables, kept):
    done = subprocess.run(
        [sys.executable, "-c", FAULTS],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    said, faults = done.stdout.split()
    assert said == str(kept)
    assert (int(faults) < 100) == kept, faults


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()


def test_a_wrong_word_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("TROVID_MALLOC", "sytem")
    with pytest.raises(TrovidError, match="TROVID_MALLOC must be keep or system, but is sytem"):
        keep_freed_memory()
    with pytest.raises(SystemExit) as exited:
        main(["bench", "video", "--quick"])
    assert exited.value.code == 2
    assert capsys.readouterr().err.startswith("trovid: TROVID_MALLOC must be")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--quiet", "detect", "--help"], True),
        (["bench", "training", "--help"], True),
        (["train", "--help"], True),
        (["bench", "operator", "--help"], False),
        (["models", "list", "--help"], False),
        (["--help"], False),
    ],
)
def test_long_commands_alone_ask_for_it(monkeypatch, capsys, words, asked):
    monkeypatch.setenv("TROVID_MALLOC", "sytem")
    with pytest.raises(SystemExit):
        main(words)
    assert ("TROVID_MALLOC must be" in capsys.readouterr().err) == asked


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not GLIBC, reason="another C library")
def test_kept_memory_does_not_grow_over_three_thousand_frames(tmp_path):
    """With maps of some MiB, which come from the heap now."""
    model = save_tiny_model(tmp_path / "tiny.safetensors", shorter=224, longer=224)
    peaks = [
        peak_memory(write(tmp_path / f"{count}.mp4", count), model, tmp_path / "out")
        for count in (300, 3000)
    ]
    assert peaks[1] - peaks[0] < 30 * 2**20, [f"{peak / 2**20:.0f} MiB" for peak in peaks]
