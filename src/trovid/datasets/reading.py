"""A data set from whatever holds it: a JSON file, a folder of splits, or ImageNet VID's folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.contract import Dataset
from trovid.datasets.imagenet_vid import is_imagenet_vid, read_imagenet_vid
from trovid.datasets.imagenet_vid_truth import is_imagenet_vid_truth, read_imagenet_vid_truth


def read_dataset(
    path: Path, *, split: str = "val", progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """The labelled videos of a file or folder.

    Args:
        path: A JSON file (`read_coco_vid`); a folder with SPLIT.json; ImageNet VID's folder
            (`ILSVRC2015`: Data, Annotations); or that of its official validation ground truth.
        split: "train", "val" or "test" of a folder.
        progress: Called with (videos done, videos in all) where many files are read.

    Raises:
        TrovidError: If something cannot be read or does not fit.
    """
    if not path.is_dir():
        return read_coco_vid(path)
    if is_imagenet_vid(path):
        return read_imagenet_vid(path, split, progress=progress)
    if is_imagenet_vid_truth(path):
        return read_imagenet_vid_truth(path)
    return read_coco_vid(path / f"{split}.json")
