"""Reading a long video for a training takes a constant 2 GB, workers included."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inference.test_long_video import repeated
from tests.media import encode, numbered

HEIGHT, WIDTH = 600, 1000
PIECE = 100
GIGABYTE = 10**9

RUN = """
import json, os, sys
from pathlib import Path
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.recipes import load_recipe
from trovid.structures import Video
from trovid.training.clips import TrainingClips
from trovid.training.loader import drawn_clips
from trovid.video.transforms import FrameTransform
from dataclasses import replace

def memory(pid):
    """Of a process and those that it started; what several share counts once."""
    proc = Path("/proc") / str(pid)
    lines = (proc / "smaps_rollup").read_text().splitlines()
    own = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    started = (proc / "task" / str(pid) / "children").read_text().split()
    return own + sum(map(memory, started))

if __name__ == "__main__":
    path, frames, room, cache = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4]
    entry = VideoEntry(Video("long", frames, 600, 1000), path, range(0, frames, 30))
    dataset = Dataset(["thing"], [entry], ObjectRows().objects())
    clips = TrainingClips(dataset, FrameTransform(600, 1000), cache=Path(cache), room=room)
    settings = replace(load_recipe("synthvid-selsa-troi").training, mutual_support=False)
    drawn = drawn_clips(clips, settings, seed=0, steps=range(12), workers=2)
    marks = [memory(os.getpid())]
    for one in drawn:
        batch = one.batch(clips.transform)
        marks.append(memory(os.getpid()))
    print(json.dumps(marks))
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="nothing tells the memory")
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
    (tmp_path / "run.py").write_text(RUN)
    words = [video, frames, json.dumps(room), tmp_path / "cache"]
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py"), *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    marks = json.loads(done.stdout.splitlines()[-1])
    assert len(marks) == 13
    assert max(marks) < 2 * GIGABYTE, [f"{mark / GIGABYTE:.2f} GB" for mark in marks]
