"""Clips of a long video drawn by two workers, in a process of its own that tells its memory."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.recipes import load_recipe
from trovid.structures import Video
from trovid.training.clips import TrainingClips
from trovid.training.loader import drawn_clips
from trovid.video.transforms import FrameTransform

HEIGHT, WIDTH = 600, 1000


def memory(pid: int) -> int:
    """Bytes of a process and of those that it started; pages that several share count once."""
    proc = Path("/proc") / str(pid)
    lines = (proc / "smaps_rollup").read_text().splitlines()
    used = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    started = (proc / "task" / str(pid) / "children").read_text().split()
    return used + sum(map(memory, map(int, started)))


def main(path: str, frames: int, room: int | None, cache: Path) -> None:
    entry = VideoEntry(Video("long", frames, HEIGHT, WIDTH), path, range(0, frames, 30))
    dataset = Dataset(["thing"], [entry], ObjectRows().objects())
    clips = TrainingClips(dataset, FrameTransform(HEIGHT, WIDTH), cache=cache, room=room)
    marks = [memory(os.getpid())]
    settings = replace(load_recipe("synthvid-selsa-troi").training, mutual_support=False)
    for drawn in drawn_clips(clips, settings, seed=0, steps=range(12), workers=2):
        batch = drawn.batch(clips.transform)
        marks.append(memory(os.getpid()))
        assert batch.images.shape == (16, 3, 608, 1008)
    print(json.dumps(marks))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), Path(sys.argv[4]))
