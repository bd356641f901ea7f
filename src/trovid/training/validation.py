"""AP50 of a detector on some validation clips."""

from __future__ import annotations

from trovid.datasets.contract import Dataset
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.evaluation import by_video, evaluate, run_dataset
from trovid.inference.predictor import Predictor
from trovid.progress import Tick
from trovid.recipes import Recipe


def validation_ap50(
    detector: Detector,
    recipe: Recipe,
    dataset: Dataset,
    *,
    videos: int,
    device: str = "auto",
    every: int = 4,
    progress: Tick | None = None,
) -> float:
    """AP50 (0..1) over every `every`-th labelled frame of the first clips."""
    predictor = Predictor(detector, recipe, device=device)
    found = run_dataset(
        predictor, dataset, every=every, videos=videos, progress=progress, score=0.01
    )
    return evaluate(by_video(found), dataset).overall.ap50
