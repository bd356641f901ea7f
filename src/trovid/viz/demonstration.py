"""The pictures of `trovid demo`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.ops import box_iou

from trovid.datasets.contract import Dataset
from trovid.files import replacing
from trovid.inference.explanation import explain
from trovid.inference.loading import load
from trovid.progress import bar
from trovid.structures import Detections, GroundTruth
from trovid.video.opening import VideoWriter
from trovid.viz.drawing import contact_sheet, draw, side_by_side
from trovid.viz.explanation import save_explanation

Predictions = Mapping[str, Sequence[Detections]]

TITLES = ("single-frame", "SELSA + Temporal RoI Align")
ENLARGEMENT = 2


def save_comparison(
    path: Path,
    labels: Dataset,
    names: Sequence[str],
    left: Predictions,
    right: Predictions,
    *,
    score: float,
) -> None:
    """The clips one after another as MP4, both models side by side, ground truth thin.

    Args:
        path: The file.
        labels: Clips and ground truth.
        names: The clips to show.
        left: Detections of the single-frame detector, every frame.
        right: Detections of the other.
        score: Lowest score that is drawn.
    """
    writer: VideoWriter | None = None
    rates = {video.name: video.frame_rate for video in labels.videos}
    with ExitStack() as open_files, bar("drawing", unit="clips") as tick:
        for done, name in enumerate(names, 1):
            for picture in _pictures(labels, name, left, right, score):
                if writer is None:
                    height, width = picture.shape[:2]
                    writer = open_files.enter_context(
                        VideoWriter(path, height=height, width=width, frame_rate=rates[name])
                    )
                writer.write(picture)
            tick(done, len(names))


def _pictures(
    labels: Dataset, name: str, left: Predictions, right: Predictions, score: float
) -> Iterator[np.ndarray]:
    truth = labels.ground_truth(name)
    with labels.open(name) as reader:
        for frame in reader:
            shown = [
                _panel(frame.image, found[name][frame.index], truth[frame.index], score)
                for found in (left, right)
            ]
            titles = [f"{title}   {name} frame {frame.index}" for title in TITLES]
            yield side_by_side(shown, titles)


def _panel(
    image: np.ndarray, detections: Detections, truth: GroundTruth, score: float
) -> np.ndarray:
    size = (image.shape[1] * ENLARGEMENT, image.shape[0] * ENLARGEMENT)
    large = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    shown = detections[detections.scores >= score]
    shown = replace(shown, boxes=shown.boxes * ENLARGEMENT)
    return draw(large, shown, ground_truth=replace(truth, boxes=truth.boxes * ENLARGEMENT))


def save_contact_sheet(
    path: Path,
    labels: Dataset,
    names: Sequence[str],
    left: Predictions,
    right: Predictions,
    *,
    score: float,
    columns: int = 4,
) -> None:
    """Evenly spaced frames of each clip, both models side by side, as one PNG."""
    rows = []
    for name in names:
        pictures = list(_pictures(labels, name, left, right, score))
        chosen = np.linspace(0, len(pictures) - 1, columns).round().astype(int)
        rows.append([pictures[i] for i in chosen])
    sheet = Image.fromarray(contact_sheet(rows))
    sheet.thumbnail((3200, 3200), Image.Resampling.LANCZOS)
    with replacing(path) as partial:
        sheet.save(partial, format="PNG")


def save_demo_explanation(
    path: Path, labels: Dataset, left: Predictions, right: Predictions, *, model: str
) -> None:
    """Explains the surest deteriorated object that only the temporal model names rightly."""
    name, truth, which = _rescued(labels, left, right)
    kind = str(truth.attributes["deterioration"][which])
    class_name = truth.class_names[int(truth.labels[which])]
    with labels.open(name) as reader:
        explanation = explain(load(model), reader, frame=truth.frame_index, box=truth.boxes[which])
    title = f"{name}, frame {truth.frame_index}: {class_name} ({kind.replace('_', ' ')})"
    save_explanation(explanation, path, title=title)


def _rescued(
    labels: Dataset, left: Predictions, right: Predictions
) -> tuple[str, GroundTruth, int]:
    best: tuple[float, str, GroundTruth, int] | None = None
    for video in labels.videos:
        for truth in labels.ground_truth(video.name):
            for which, kind in enumerate(truth.attributes["deterioration"]):
                if kind == "none":
                    continue
                margin = _sureness(right[video.name][truth.frame_index], truth, which)
                margin -= _sureness(left[video.name][truth.frame_index], truth, which)
                if best is None or margin > best[0]:
                    best = (margin, video.name, truth, which)
    assert best is not None, "the clips hold no deteriorated object"
    return best[1:]


def _sureness(detections: Detections, truth: GroundTruth, which: int) -> float:
    """The best score of the object's own class at its place."""
    candidates = detections[detections.labels == truth.labels[which]]
    near = box_iou(candidates.boxes, truth.boxes[which : which + 1])[:, 0] >= 0.5
    return float(torch.cat([candidates.scores[near], torch.zeros(1)]).max())
