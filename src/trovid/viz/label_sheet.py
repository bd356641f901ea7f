"""A contact sheet of labelled frames, for a look at what the labels say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from trovid.datasets.contract import Dataset
from trovid.errors import TrovidError
from trovid.files import replacing
from trovid.structures.support_sampling import evenly_thinned
from trovid.video.writer import VideoWriter
from trovid.viz.drawing import draw_labels, grid

PICTURES = 12
COLUMNS = 4
PANEL = 480
FALLBACK_RATE = 25.0


def label_sheet(dataset: Dataset, *, count: int = PICTURES) -> np.ndarray:
    """Frames of evenly spread videos with their labels drawn; each video's fullest frame.

    Args:
        dataset: The labels.
        count: Pictures at most.

    Returns:
        uint8 [H, W, 3].

    Raises:
        TrovidError: If no labelled frame can be read.
    """
    names = [v.name for v in dataset.videos if len(dataset.labelled_frames(v.name))]
    chosen = [names[place] for place in evenly_thinned(len(names), count)]
    per_video = max(1, count // max(1, len(chosen)))
    pictures, titles = [], []
    for name in chosen:
        for frame in _frames(dataset, name, per_video):
            try:
                image = dataset.open(name).read([frame])[0].image
            except (TrovidError, ValueError):
                continue
            (truth,) = dataset.ground_truth(name, frames=[frame])
            pictures.append(_smaller(draw_labels(image, truth)))
            titles.append(f"{name}   frame {frame}")
    if not pictures:
        raise TrovidError("no labelled frame can be read: there is nothing to draw")
    return grid(pictures, titles, columns=min(COLUMNS, len(pictures)))


def write_label_sheet(path: Path, dataset: Dataset, *, count: int = PICTURES) -> None:
    """Writes the sheet as a PNG.

    Raises:
        TrovidError: If no labelled frame can be read, or the file cannot be written.
    """
    sheet = Image.fromarray(label_sheet(dataset, count=count))
    with replacing(path) as partial:
        sheet.save(partial, format="PNG")


def write_label_video(
    path: Path, dataset: Dataset, name: str, *, progress: Callable[[int, int], None] | None = None
) -> None:
    """Writes a video with its labels drawn; frames that nobody looked at stay bare.

    Raises:
        TrovidError: If the video cannot be read or written.
    """
    reader = dataset.open(name)
    video, labelled = reader.video, set(dataset.labelled_frames(name).tolist())
    rate = video.frame_rate or FALLBACK_RATE
    with VideoWriter(path, height=video.height, width=video.width, frame_rate=rate) as writer:
        for frame in reader:
            image = frame.image
            if frame.index in labelled:
                (truth,) = dataset.ground_truth(name, frames=[frame.index])
                image = draw_labels(image, truth)
            writer.write(image)
            if progress:
                progress(frame.index + 1, video.num_frames)


def _frames(dataset: Dataset, name: str, count: int) -> list[int]:
    """The fullest frame, or several of those with objects evenly through the video."""
    frames = dataset.objects.frames[dataset.rows(name)]
    if not len(frames):
        return dataset.labelled_frames(name)[:1].tolist()
    found, counts = np.unique(frames, return_counts=True)
    if count == 1:
        fullest = found[counts == counts.max()]
        return [int(fullest[len(fullest) // 2])]
    return [int(found[place]) for place in evenly_thinned(len(found), count)]


def _smaller(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    if width <= PANEL:
        return picture
    size = (PANEL, max(1, round(height * PANEL / width)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
