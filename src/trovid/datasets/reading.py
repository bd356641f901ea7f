"""Labels from whatever holds them: a JSON file, a folder of splits, or ImageNet VID's folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trovid.datasets.coco_vid import VideoLabels
from trovid.datasets.imagenet_vid import imagenet_vid, is_imagenet_vid


def read_labels(
    path: Path, *, split: str = "val", progress: Callable[[int, int], None] | None = None
) -> VideoLabels:
    """The labelled videos of a file or folder.

    Args:
        path: A JSON file (`VideoLabels`); a folder with SPLIT.json; or ImageNet VID's folder
            (`ILSVRC2015`: Data, Annotations).
        split: "train", "val" or "test" of a folder.
        progress: Called with (videos done, videos in all) where many files are read.

    Raises:
        TrovidError: If something cannot be read or does not fit.
    """
    if not path.is_dir():
        return VideoLabels.from_json(path)
    if is_imagenet_vid(path):
        return imagenet_vid(path, split, progress=progress)
    return VideoLabels.from_json(path / f"{split}.json")
