"""The splits of SynthVID that trainings and experiments use, written where they are missing."""

from __future__ import annotations

from pathlib import Path

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid import VERSION, write_split
from trovid.errors import TrovidError
from trovid.progress import bar


def synthvid_folder(out: Path, *, first_test_clip: int = 0, **videos: int) -> Path:
    """OUT/data with the splits asked for, each with that many clips.

    Args:
        out: Folder of an experiment or a training.
        first_test_clip: Number of the first clip of the test split.
        videos: Number of clips by the split's name; a split that is there is left as it is.

    Raises:
        TrovidError: If a split that is there is of another version or begins with another clip.
    """
    folder = out / "data"
    for split, count in videos.items():
        path = folder / f"{split}.json"
        first = first_test_clip if split == "test" else 0
        if path.exists():
            info = read_coco_vid(path).info
            version = info.get("version")
            if info.get("first", 0) != first:
                raise TrovidError(
                    f"{path} begins with clip {info.get('first', 0)}, but clip {first} is asked "
                    "for: choose another `out`"
                )
            if version != VERSION:
                raise TrovidError(
                    f"{path} is of SynthVID {version}, but this is SynthVID {VERSION}: "
                    f"choose another `out`, or delete {out}"
                )
        else:
            with bar(f"SynthVID {split}", unit="clips") as tick:
                write_split(
                    folder,
                    split=split,
                    videos=count,
                    first=first,
                    progress=lambda n, c=count: tick(n, c),
                )
    return folder
