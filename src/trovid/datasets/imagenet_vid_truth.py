"""ImageNet VID's official validation ground truth: the devkit's two MATLAB files, no picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.imagenet_vid import CLASSES
from trovid.datasets.objects import Objects
from trovid.errors import TrovidError
from trovid.structures import Video

TRUTH = "ILSVRC2015_vid_validation_ground_truth_whole.mat"
MOTION = "imagenet_vid_groundtruth_motion_iou.mat"
META = "meta_vid.mat"
VIDEOS = "VID_val_videos.txt"


def is_imagenet_vid_truth(folder: Path) -> bool:
    """Whether a folder holds the official validation ground truth."""
    return (folder / TRUTH).is_file()


def read_imagenet_vid_truth(folder: Path) -> Dataset:
    """The official validation ground truth, 176,126 frames of 555 videos, and its motion IoU.

    Predictions can be measured with it without ImageNet's pictures. It has no track ids: each
    object is one of its own, and `motion_iou` is the published one.

    Args:
        folder: With the ground truth and `meta_vid.mat` (ImageNet's devkit), the list
            `VID_val_videos.txt` (video, number of its first frame, start, length) and, for the
            motion groups, the motion IoU (both FGFA).

    Raises:
        TrovidError: If a file is missing or unreadable, or they do not fit together.
    """
    try:
        return _read(folder)
    except KeyError as error:
        raise TrovidError(
            f"{folder}: the ground truth lacks {error}; take the official file"
        ) from (error)


def _read(folder: Path) -> Dataset:
    counts, boxes, labels = _objects(folder / TRUTH)
    entries = _videos(folder, len(counts))
    starts = np.cumsum([0, *(entry.video.num_frames for entry in entries)])
    images = np.repeat(np.arange(len(counts)), counts)
    videos = np.searchsorted(starts, images, side="right") - 1
    no = np.zeros(len(labels), dtype=bool)
    objects = Objects(
        videos.astype(np.int32),
        (images - starts[videos]).astype(np.int32),
        boxes.astype(np.float64),
        _classes(folder)[labels],
        np.arange(len(labels)),
        no,
        no,
        _motion(folder, counts),
    )
    info = {"name": "ImageNet VID", "split": "val", "from": "official ground truth"}
    return Dataset(list(CLASSES.values()), entries, objects, info=info)


def _objects(path: Path) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]:
    """How many objects each frame has, and the box and the devkit's label of each."""
    truth = _matlab(path, "gt_obj_labels", "gt_obj_bboxes")
    labels_of, boxes_of = truth["gt_obj_labels"][0], truth["gt_obj_bboxes"][0]
    counts = np.array([labels.size for labels in labels_of])
    boxes = np.concatenate(
        [frame_boxes.reshape(4, -1).T for frame_boxes in boxes_of if frame_boxes.size]
    )
    labels = np.concatenate(
        [frame_labels.ravel() for frame_labels in labels_of if frame_labels.size]
    ).astype(np.int64)
    if len(boxes) != len(labels):
        raise TrovidError(f"{path}: has {len(labels)} labels, but {len(boxes)} boxes")
    return counts, boxes, labels


def _videos(folder: Path, num_frames: int) -> list[VideoEntry]:
    path = folder / VIDEOS
    entries = []
    next_frame = 1
    for number, line in enumerate(_text(path).splitlines(), 1):
        try:
            name, first, _, length = line.split()
            if int(first) != next_frame or int(length) < 1:
                raise ValueError
        except ValueError as error:
            raise TrovidError(
                f"{path}:{number}: must be `video {next_frame} 0 length`, but is {line!r}"
            ) from error
        next_frame += int(length)
        video = Video(Path(name).name, int(length), 0, 0)
        frames = folder / "Data" / "VID" / name
        entries.append(VideoEntry(video, str(frames), range(int(length))))
    if next_frame - 1 != num_frames:
        raise TrovidError(
            f"{path}: lists {next_frame - 1} frames, but {TRUTH} has {num_frames}; "
            "take both from the same release"
        )
    return entries


def _classes(folder: Path) -> NDArray[np.int32]:
    """Array[31]: our label of each of the devkit's, which begin at 1."""
    ours = {code: label for label, code in enumerate(CLASSES)}
    found = np.full(len(CLASSES) + 1, -1, dtype=np.int32)
    for synset in _matlab(folder / META)["synsets"][0]:
        found[int(synset["ILSVRC2015_VID_ID"].item())] = ours[str(synset["WNID"].item())]
    return found


def _motion(folder: Path, counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    path = folder / MOTION
    if not path.exists():
        return {}
    of_frames = _matlab(path)["motion_iou"].ravel()
    sizes = np.array([frame_ious.size for frame_ious in of_frames])
    if not np.array_equal(sizes, counts):
        raise TrovidError(f"{path}: is of other frames than {TRUTH}; take both from one release")
    motion = [frame_ious.ravel() for frame_ious in of_frames if frame_ious.size]
    return {"motion_iou": np.concatenate(motion).astype(np.float64)}


def _matlab(path: Path, *names: str) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return loadmat(path, variable_names=names or None)
    except OSError as error:
        raise TrovidError(
            f"{path}: cannot be read ({error.strerror}); it belongs to ImageNet's devkit"
        ) from error
    except (MatReadError, ValueError, TypeError, NotImplementedError) as error:
        raise TrovidError(f"{path}: is no MATLAB file ({error})") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TrovidError(f"{path}: is no text ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise TrovidError(
            f"{path}: cannot be read ({error.strerror}); it is FGFA's list of validation videos"
        ) from error
