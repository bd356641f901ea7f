"""The clips of an experiment on disk."""

from __future__ import annotations

from pathlib import Path

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid import VERSION, write_split
from trovid.errors import TrovidError
from trovid.experiments.description import Clips
from trovid.progress import bar


def clips_file(out: Path, clips: Clips) -> Path:
    """Where the labels of some clips lie."""
    return out / "clips" / clips.key / f"{clips.split}.json"


def written_clips(out: Path, clips: Clips, *, workers: int = 1) -> Path:
    """The labels of some clips, which are made where they are not there.

    Raises:
        TrovidError: If clips that are there are of another version of SynthVID.
    """
    path = clips_file(out, clips)
    if path.exists():
        version = read_coco_vid(path).info.get("version")
        if version != VERSION:
            raise TrovidError(
                f"{path} is of SynthVID {version}, but this is SynthVID {VERSION}: "
                f"choose another `out`, or delete {path.parent}"
            )
        return path
    with bar(f"SynthVID {clips.key}", unit="clips") as tick:
        return write_split(
            path.parent,
            split=clips.split,
            videos=clips.count,
            first=clips.first,
            strength=clips.strength,
            num_frames=clips.frames,
            setting=clips.setting,
            workers=workers,
            progress=lambda done: tick(done, clips.count),
        )
