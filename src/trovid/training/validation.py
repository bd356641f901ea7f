"""AP50 of a detector on some validation clips."""

from __future__ import annotations

from collections.abc import Callable

from trovid.datasets.contract import Dataset
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.evaluation import evaluate
from trovid.inference.predictor import Predictor
from trovid.recipes import Recipe


def validation_ap50(
    detector: Detector,
    recipe: Recipe,
    labels: Dataset,
    *,
    videos: int,
    device: str = "cpu",
    every: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> float:
    """AP50 (0..1) over every `every`-th frame of the first clips."""
    predictor = Predictor(detector, recipe, device=device)
    chosen = labels.videos[:videos]
    predictions = {}
    for done, video in enumerate(chosen, 1):
        frames = range(0, video.num_frames, every)
        found = predictor.detect(labels.path(video.name), score=0.01, frames=frames)
        predictions[video.name] = list(found)
        if progress:
            progress(done, len(chosen))
    return evaluate(predictions, labels).overall.ap50
