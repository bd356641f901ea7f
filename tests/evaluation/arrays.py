"""Data sets and predictions made of plain lists of frames."""

import numpy as np

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import Objects
from trovid.evaluation.pool import Pool, pool_frames
from trovid.structures import Video, VideoDetections


def make_dataset(videos, class_names, *, size=(480, 640)) -> Dataset:
    """Each video a list of frames of (box, label, instance id, {attribute: value}) objects."""
    rows = [
        (v, f, *object_)
        for v, frames in enumerate(videos)
        for f, objects in enumerate(frames)
        for object_ in objects
    ]
    names = {name for row in rows for name in row[5]}
    no = np.zeros(len(rows), dtype=bool)
    objects = Objects(
        np.array([row[0] for row in rows], dtype=np.int32),
        np.array([row[1] for row in rows], dtype=np.int32),
        np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
        np.array([row[3] for row in rows], dtype=np.int32),
        np.array([row[4] for row in rows], dtype=np.int64),
        no,
        no,
        {name: np.array([row[5][name] for row in rows]) for name in names},
    )
    entries = [
        VideoEntry(Video(str(v), len(frames), *size), "", range(len(frames)))
        for v, frames in enumerate(videos)
    ]
    return Dataset(class_names, entries, objects)


def make_predictions(videos, class_names, *, kind=np.float64) -> dict[str, VideoDetections]:
    """Each video a list of frames of (box, label, score) detections."""
    found = {}
    for v, frames in enumerate(videos):
        rows = [row for frame in frames for row in frame]
        found[str(v)] = VideoDetections(
            np.arange(len(frames), dtype=np.int32),
            np.array([len(frame) for frame in frames], dtype=np.int32),
            np.array([row[0] for row in rows], dtype=kind).reshape(-1, 4),
            np.array([row[2] for row in rows], dtype=kind),
            np.array([row[1] for row in rows], dtype=np.int32),
            tuple(class_names),
        )
    return found


def make_pool(objects, detections, class_names) -> Pool:
    """Both together."""
    return pool_frames(
        make_predictions(detections, class_names), make_dataset(objects, class_names)
    )
