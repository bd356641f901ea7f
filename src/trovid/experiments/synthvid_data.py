"""The splits of SynthVID that trainings and experiments use, written where they are missing."""

from __future__ import annotations

from pathlib import Path

from trovid.data.synthvid import write_split
from trovid.progress import bar


def synthvid_folder(out: Path, **videos: int) -> Path:
    """OUT/data with the splits asked for, each with that many clips.

    Args:
        out: Folder of an experiment or a training.
        videos: Number of clips by the split's name; a split that is there is left as it is.
    """
    folder = out / "data"
    for split, count in videos.items():
        if not (folder / f"{split}.json").exists():
            with bar(f"SynthVID {split}", unit="clips") as tick:
                write_split(
                    folder, split=split, videos=count, progress=lambda n, c=count: tick(n, c)
                )
    return folder
