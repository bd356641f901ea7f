"""Reading a long video for a training takes a constant 2 GB, workers included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inference.test_long_video import repeated
from tests.media import encode, numbered
from tests.training.long_video import HEIGHT, WIDTH

ROOT = Path(__file__).parents[2]
PIECE = 100
GIGABYTE = 10**9


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="no /proc tells it")
@pytest.mark.parametrize(("frames", "room"), [(15_000, 0), (1500, None)], ids=["decoded", "stored"])
def test_loader_and_workers_take_two_gigabytes(tmp_path, frames, room):
    piece = encode(
        tmp_path / "piece.mp4",
        num_frames=PIECE,
        height=HEIGHT,
        width=WIDTH,
        picture=lambda index: numbered(index, HEIGHT, WIDTH),
        gop=50,
    )
    video = repeated(tmp_path / "long.mp4", piece, frames // PIECE)
    words = ["-m", "tests.training.long_video", video, frames, json.dumps(room), tmp_path / "cache"]
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    marks = json.loads(done.stdout.splitlines()[-1])
    assert len(marks) == 13
    assert max(marks) < 2 * GIGABYTE, [f"{mark / GIGABYTE:.2f} GB" for mark in marks]
