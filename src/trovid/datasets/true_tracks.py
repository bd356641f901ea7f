"""The labelled tracks of a video."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from trovid.datasets.contract import Dataset
from trovid.errors import TrovidError
from trovid.structures import Masks, Tracks
from trovid.structures.tracks import Shapes

FEW = 3
"""Frames with objects from which on it is no chance that no object of a video is seen twice."""


def videos_without_identities(dataset: Dataset) -> list[str]:
    """The videos of at least `FEW` frames with objects in which no object is seen twice.

    Readers give each object without identity one of its own, as do tools that write labels.
    """
    objects = dataset.objects[np.flatnonzero(dataset.objects.counted)]
    count = len(dataset.videos)

    def different(column: NDArray[np.integer]) -> NDArray[np.int64]:
        _, places = np.unique(column, return_inverse=True)
        pairs = np.unique(places * np.int64(count) + objects.videos)
        return np.bincount(pairs % count, minlength=count)

    again = different(objects.instance_ids) < np.bincount(objects.videos, minlength=count)
    lacking = ~again & (different(objects.frames) >= FEW)
    return [video.name for video, lacks in zip(dataset.videos, lacking, strict=True) if lacks]


def check_identities(dataset: Dataset, names: Iterable[str], purpose: str) -> None:
    """That the labels of some videos say which object is which.

    Args:
        dataset: The labels.
        names: The videos that are used.
        purpose: What identities are needed for, and are not there.

    Raises:
        TrovidError: If those of one do not.
    """
    lacking = set(videos_without_identities(dataset))
    for name in names:
        if name in lacking:
            raise TrovidError(
                f"{name}: {purpose}, but its labels have no identities: no object is in two "
                "frames; give an object one `instance_id` in all its frames"
            )


def true_tracks(
    dataset: Dataset, name: str, frames: Sequence[int] | None = None, *, masks: bool = True
) -> Tracks:
    """The labelled tracks of a video.

    A track is a crowd where one of its labels is a crowd or ignored. Its size is that which the
    labels state (attribute `area`), else it is measured.

    Args:
        dataset: The data set.
        name: Name of the video.
        frames: Indices of the frames that count; None for the labelled ones.
        masks: Whether the tracks are of masks; else they are of boxes.

    Raises:
        TrovidError: If masks are wanted and an object has none.
    """
    objects = dataset.objects[dataset.rows(name)]
    wanted = dataset.labelled_frames(name) if frames is None else np.asarray(frames)
    video = dataset.video(name)
    objects = objects[np.flatnonzero(np.isin(objects.frames, wanted))]
    if masks and len(objects) and (objects.masks is None or not all(objects.masks)):
        raise TrovidError(f"the labels of video '{name}' have no masks for all objects")
    ids, first, tracks = np.unique(objects.instance_ids, return_index=True, return_inverse=True)
    parts: list[tuple[NDArray[np.int64], Shapes]] = []
    for index in wanted.tolist():
        rows = np.flatnonzero(objects.frames == index)
        seen, kept = np.unique(tracks[rows], return_index=True)
        rows = rows[kept]
        codes = () if objects.masks is None else objects.masks[rows]
        shapes = Masks((video.height, video.width), tuple(codes)) if masks else objects.boxes[rows]
        parts.append((seen, shapes))
    crowd = np.zeros(len(ids), dtype=np.bool_)
    np.logical_or.at(crowd, tracks, ~objects.counted)
    sizes = None
    areas = objects.attributes.get("area")
    if masks and areas is not None and not np.isnan(areas).any():
        sums = np.bincount(tracks, areas.astype(np.float64), len(ids))
        sizes = sums / np.maximum(np.bincount(tracks, areas > 0, len(ids)), 1)
    labels = objects.labels[first].astype(np.int64)
    return Tracks.make(labels, np.ones(len(ids)), parts, crowd=crowd, sizes=sizes)
