"""`trovid synthvid`: clips and labels of the built-in benchmark."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from trovid.cli.messages import print_record
from trovid.errors import TrovidError
from trovid.progress import bar


def synthvid(
    out: Path,
    *,
    split: Literal["train", "val", "test"] = "test",
    videos: int = 100,
    first_clip: int = 0,
    seed: int = 0,
    strength: float | None = None,
    frames: int = 24,
    size: int = 256,
    setting: Literal["classes", "twins", "unseen"] = "classes",
    format: Literal["mp4", "png"] = "mp4",
    workers: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write clips and labels of the built-in benchmark SynthVID.

    OUT/SPLIT/ receives the clips, OUT/SPLIT.json the labels (COCO-VID style). The same options
    give the same labels on every machine; the first clips of a longer split are the same.

    Examples:
        trovid synthvid data/synthvid
        trovid synthvid data/synthvid --split train --videos 800
        trovid synthvid data/twins --setting twins --videos 200 --first-clip 600
        trovid synthvid strong --split val --videos 20 --strength 1.6 --format png

    Args:
        out: Folder to write into; made where absent.
        split: Splits share no clip.
        videos: Number of clips.
        first_clip: Number of the first clip in the split.
        seed: Another seed gives another benchmark; the published figures use 0.
        strength: Factor on all deteriorations; the benchmark's own by default.
        frames: Frames in a clip, at least 24.
        size: Height and width in pixels, even, at least 64.
        setting: The benchmark (classes), or clips in which two objects of one class hide each
            other (twins), for figures of identity, or backgrounds and sizes that training has not
            (unseen); give it a folder of its own.
        format: H.264 video, or a folder of PNG images a clip (exact, about ten times as large).
        workers: Processes; the number of cores by default.
        json: Print the file of labels as JSON.
    """
    from trovid.datasets.synthvid import write_split

    try:
        with bar("synthvid", unit="clips") as tick:
            path = write_split(
                out,
                split=split,
                videos=videos,
                first=first_clip,
                seed=seed,
                strength=strength,
                num_frames=frames,
                size=size,
                setting=setting,
                format=format,
                workers=(os.cpu_count() or 1) if workers is None else workers,
                progress=lambda done: tick(done, videos),
            )
    except (ValueError, OSError) as error:
        raise TrovidError(f"synthvid: {error}") from error
    if json:
        print_record({"labels": str(path)})
    else:
        print(path)
