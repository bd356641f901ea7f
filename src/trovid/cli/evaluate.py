"""`trovid evaluate`: predictions, or a model, against labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

import trovid
from trovid.errors import TrovidError

if TYPE_CHECKING:
    from trovid.data.coco_vid import VideoLabels
    from trovid.inference.predictor import Predictor
    from trovid.structures import Detections


def evaluate(
    predictions: Path | None = None,
    /,
    *,
    labels: Path | None = None,
    model: str | None = None,
    data: Path | None = None,
    json: Path | None = None,
    support: str | None = None,
    every: Annotated[int, Parameter(help="Run the model on every N-th frame.")] = 1,
    videos: Annotated[int | None, Parameter(help="Only the first N videos of --data.")] = None,
    score: float = 0.01,
    device: str = "auto",
) -> None:
    """Measure predictions, or a model, against labels.

    COCO's AP50, AP75 and AP: of all objects, of each class, and of each group of objects that the
    labels tell apart (clean and deteriorated, kind, strength, speed). Objects outside a group are
    ignored, false positives anywhere count. Only frames that were predicted are evaluated.

    Examples:
        trovid evaluate detections.json --labels data/synthvid/test.json --json report.json
        trovid evaluate --model synthvid-selsa-troi --data data/synthvid/test.json --every 2

    Args:
        predictions: JSON of `trovid detect`.
        labels: JSON of the ground truth (COCO-VID style) that PREDICTIONS are held against.
        model: Name of an embedded model or a weights file, to be run over the videos of --data.
        data: JSON of the ground truth, whose videos lie beside it.
        json: File for the figures.
        support: Support frames of the model, such as uniform:14; by default its recipe's.
        every: Run the model on every N-th frame.
        videos: Only the first N videos of --data.
        score: Lowest score of the model's detections.
        device: Where the model runs: auto, cpu, cuda, mps.
    """
    if (predictions is None) == (model is None):
        raise TrovidError("give either a PREDICTIONS file with --labels, or --model with --data")
    if predictions is not None:
        if labels is None or data is not None:
            raise TrovidError("PREDICTIONS need --labels GT.json (--data goes with --model)")
        _of_file(predictions, labels, json)
    else:
        if data is None or labels is not None:
            raise TrovidError("--model needs --data GT.json (--labels goes with PREDICTIONS)")
        if every < 1 or (videos is not None and videos < 1):
            raise TrovidError("--every and --videos must be at least 1")
        _of_model(str(model), data, json, support, every, videos, score, device)


def _of_file(predictions: Path, labels: Path, json: Path | None) -> None:
    from trovid.data.coco_vid import VideoLabels
    from trovid.inference.writers import read_predictions

    truth = VideoLabels.from_json(labels)
    head, found = read_predictions(predictions)
    facts = {"model": head.get("model"), "predictions": predictions.name, "labels": labels.name}
    _print_report(found, truth, facts, json, predictions)


def _of_model(
    model: str,
    data: Path,
    json: Path | None,
    support: str | None,
    every: int,
    videos: int | None,
    score: float,
    device: str,
) -> None:
    from trovid.data.coco_vid import VideoLabels
    from trovid.data.sampling import SupportSampling

    if support is not None:
        SupportSampling.parse(support)
    truth = VideoLabels.from_json(data)
    predictor = trovid.load(model, device=device)
    found = _run(predictor, truth, support, every, videos, score)
    facts = {
        "model": predictor.name,
        "labels": data.name,
        "support": support or predictor.recipe.inference.support,
        "every": every,
        "score": score,
    }
    _print_report(found, truth, facts, json, data)


def _run(
    predictor: Predictor,
    labels: VideoLabels,
    support: str | None,
    every: int,
    videos: int | None,
    score: float,
) -> dict[str, list[Detections]]:
    from trovid.progress import bar

    chosen = labels.videos[:videos]
    found: dict[str, list[Detections]] = {}
    with bar(f"evaluating {predictor.name}", unit="videos") as tick:
        for done, video in enumerate(chosen, 1):
            frames = range(0, video.num_frames, every)
            found[video.name] = list(
                predictor.detect(labels.path(video), support=support, score=score, frames=frames)
            )
            tick(done, len(chosen), video.name)
    return found


def _print_report(
    found: dict[str, list[Detections]],
    truth: VideoLabels,
    facts: Mapping[str, object],
    json: Path | None,
    source: Path,
) -> None:
    from rich.console import Console

    from trovid.evaluation import evaluate as measure

    try:
        report = measure(found, truth, head=facts)
    except TrovidError as error:
        raise TrovidError(f"{source}: {error}") from error
    console = Console()
    for table in report.tables():
        console.print(table)
    for key, word in (
        ("predicted_classes_left_out", "predicted classes that the labels do not have"),
        ("unlabelled_frames_left_out", "predicted frames without labels"),
    ):
        if report.head[key]:
            console.print(f"left out: {word}: {report.head[key]}", highlight=False)
    if json is not None:
        report.save(json)
        console.print(f"figures: {json}", highlight=False, soft_wrap=True)
