"""One validation video of ImageNet VID: its pictures, and its objects from the official truth."""

from __future__ import annotations

from pathlib import Path

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.imagenet_vid_truth import read_imagenet_vid_truth
from trovid.errors import TrovidError
from trovid.structures import Video
from trovid.video.images import images_in, read_size

CLASSES = {"ILSVRC2015_val_00007010": ("aeroplane",)}
"""By video the names that its object has among the 20 classes of PASCAL VOC."""


def read_clip(frames: Path, truth: Path) -> Dataset:
    """A video with its labels.

    Args:
        frames: Folder of its pictures, named as the video.
        truth: Folder of the official ground truth (`read_imagenet_vid_truth`).

    Raises:
        TrovidError: If the truth has no such video, or one of another length.
    """
    name, files = frames.name, images_in(frames)
    whole = read_imagenet_vid_truth(truth)
    if name not in whole or name not in CLASSES:
        raise TrovidError(f"{frames}: must be a folder named as one of {list(CLASSES)}")
    subset = whole.subset([name])
    if len(files) != subset.video(name).num_frames:
        raise TrovidError(
            f"{frames}: has {len(files)} pictures, but the video has "
            f"{subset.video(name).num_frames}"
        )
    height, width = read_size(files[0])
    video = Video(name, len(files), height, width)
    entry = VideoEntry(video, str(frames), range(len(files)))
    return Dataset(subset.class_names, [entry], subset.objects, info=subset.info, box_layout="xyxy")
