"""Detecting in a long video takes no more memory than in a short one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.tiny_model import save_tiny_model
from trovid.data.video_io import VideoWriter

SHORT, LONG = 300, 3000
MEBIBYTE = 2**20

RUN = """
import resource, sys
from trovid.cli.main import main
try:
    main(["detect", *sys.argv[1:]])
except SystemExit as exited:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("peak", peak * (1 if sys.platform == "darwin" else 1024))
    raise
"""


def peak_memory(video: Path, model: Path, out: Path) -> int:
    """Bytes that `trovid detect` takes at most, with annotated video and JSON."""
    words = [video, "--out", out, "--model", model, "--score", "0.99", "--device", "cpu"]
    done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split("peak ")[1])


def write(path: Path, count: int) -> Path:
    scene = np.random.default_rng(0).integers(0, 255, (64, 128, 3), dtype=np.uint8)
    with VideoWriter(path, height=64, width=64, frame_rate=25) as writer:
        for index in range(count):
            left = index % 64
            writer.write(scene[:, left : left + 64])
    return path


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    short, long = (
        peak_memory(write(tmp_path / f"{count}.mp4", count), model, tmp_path / "out")
        for count in (SHORT, LONG)
    )
    assert long - short < 30 * MEBIBYTE, f"{short / MEBIBYTE:.0f} and {long / MEBIBYTE:.0f} MiB"
