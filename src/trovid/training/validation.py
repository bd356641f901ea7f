"""How good a detector is on some validation clips."""

from __future__ import annotations

from dataclasses import dataclass

from trovid.datasets.contract import Dataset
from trovid.detectors.contract import VideoDetector
from trovid.evaluation import by_video, evaluate, run_dataset
from trovid.evaluation.pool import pool_frames
from trovid.evaluation.score_threshold import ScoreThreshold, best_score_threshold
from trovid.inference.predictor import Predictor
from trovid.progress import Tick
from trovid.recipes import Recipe

FRAMES_ENOUGH = 400


@dataclass(frozen=True)
class Validation:
    """Figures of a validation.

    Attributes:
        ap50: AP50, 0..1; NaN where no object is there to be found.
        threshold: The score that gives the best F1; None where nothing was found.
        clips: How many clips were looked at.
    """

    ap50: float
    threshold: ScoreThreshold | None
    clips: int

    @property
    def figures(self) -> dict[str, float]:
        """What a card says of it."""
        found = {"val_ap50": self.ap50, "val_clips": self.clips}
        if self.threshold is not None:
            found |= {"score_threshold": self.threshold.score, "val_f1": self.threshold.f1}
        return found


def validation(
    detector: VideoDetector,
    recipe: Recipe,
    dataset: Dataset,
    *,
    videos: int,
    device: str = "auto",
    every: int = 4,
    progress: Tick | None = None,
) -> Validation:
    """AP50 and the best score over every `every`-th labelled frame of the first clips."""
    predictor = Predictor(detector, recipe, device=device)
    found = by_video(
        run_dataset(predictor, dataset, every=every, videos=videos, progress=progress, score=0.01)
    )
    ap50 = evaluate(found, dataset).overall.ap50
    return Validation(ap50, best_score_threshold(pool_frames(found, dataset)), len(found))


def frames_apart(dataset: Dataset, videos: int) -> int:
    """Every how many labelled frames are enough to look at, of sparsely labelled videos all."""
    names = [video.name for video in dataset.videos[:videos]]
    frames = sum(len(dataset.labelled_frames(name)) for name in names)
    return max(1, -(-frames // FRAMES_ENOUGH))
