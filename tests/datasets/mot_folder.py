"""Sequences in the layout of MOT17, small and right."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

ROWS = """1,1,10,5,8,20,1,1,1
1,2,30,5,8,20,0,7,0.25
2,1,11,5,8,20,1,1,0.5
2,2,31,5,8,20,0,1,1
"""
INFO = """[Sequence]
name=MOT17-02-FRCNN
imDir=img1
frameRate=30
seqLength=2
imWidth=64
imHeight=48
imExt=.jpg
"""


def write_mot(root: Path, *names: str) -> Path:
    """train with some sequences of two frames, and test without labels."""
    for name in names:
        folder = root / "train" / name
        (folder / "gt").mkdir(parents=True)
        (folder / "img1").mkdir()
        (folder / "gt/gt.txt").write_text(ROWS)
        (folder / "seqinfo.ini").write_text(INFO)
        for frame in (1, 2):
            Image.new("RGB", (64, 48)).save(folder / "img1" / f"{frame:06d}.jpg")
    (root / "test/MOT17-01-DPM/img1").mkdir(parents=True)
    return root
