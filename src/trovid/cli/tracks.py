"""`trovid evaluate --protocol youtube-vis|mot`: tracks against labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trovid.cli.tables import print_tables, table_console
from trovid.errors import TrovidError

if TYPE_CHECKING:
    from trovid.datasets.contract import Dataset
    from trovid.evaluation.track_report import TrackReport
    from trovid.inference.predictor import Predictor
    from trovid.structures import DetectOptions

TRACK_PROTOCOLS = ("youtube-vis", "mot")


def track_protocol(text: str | None) -> str | None:
    """The protocol of tracks that is asked for, which goes alone; None: those of boxes.

    Raises:
        TrovidError: If others are asked for besides.
    """
    words = [word.strip() for word in (text or "").split(",")]
    asked = [word for word in words if word in TRACK_PROTOCOLS]
    if asked and len(words) > 1:
        raise TrovidError(f"--protocol {asked[0]} goes alone: its figures are of tracks")
    return asked[0] if asked else None


def read_tracks(
    protocol: str, predictions: Path, labels: Path
) -> tuple[dict[str, Any], Dataset, dict[str, object]]:
    """Predictions in whatever form, the labels, and what the report's head says of them.

    Raises:
        TrovidError: If one cannot be read.
    """
    from trovid.datasets.mot import read_mot_results, results_within
    from trovid.datasets.reading import read_labels
    from trovid.datasets.youtube_vis_results import read_youtube_vis_results
    from trovid.runs.derived import check_one_class, is_told_beside
    from trovid.runs.predictions import holds_predictions, read_frames

    sources: dict[str, object] = {"predictions": predictions.name, "labels": labels.name}
    lines = predictions.suffix.lower() == ".txt"
    if predictions.is_dir():
        lines = not all(map(is_told_beside, predictions.glob("*.txt")))
        if not lines and not holds_predictions(predictions):
            raise TrovidError(
                f"{predictions}: holds no results: NAME.json or Parquet of `trovid segment` or "
                "`trovid detect --track`, or NAME.txt of MOT Challenge"
            )
    if lines:
        if protocol != "mot":
            raise TrovidError(f"{predictions}: results of MOT Challenge go with --protocol mot")
        check_one_class(predictions)
        truth = read_labels(labels, lambda val: results_within(predictions, val))
        return read_mot_results(predictions, truth), truth, sources
    file = not predictions.is_dir()
    if file and (predictions.suffix.lower() == ".zip" or _is_list(predictions)):
        if protocol != "youtube-vis":
            raise TrovidError(
                f"{predictions}: this list of tracks goes with --protocol youtube-vis"
            )
        truth = read_labels(labels)
        return read_youtube_vis_results(predictions, truth), truth, sources
    head, found = read_frames(predictions)
    truth = read_labels(labels, lambda val: all(name in val for name in found))
    return found, truth, {"model": head.get("model"), **sources}


def check_results(path: Path, protocol: str | None, every: int) -> None:
    """That results for the server can be written as they are asked for.

    Raises:
        TrovidError: If not.
    """
    if protocol != "youtube-vis":
        raise TrovidError("--results goes with --protocol youtube-vis")
    if every != 1:
        raise TrovidError("--results has every frame of a video: leave out --every")
    if path.suffix.lower() not in (".zip", ".json"):
        raise TrovidError(f"--results must be a .zip, as the server takes it, or .json: {path}")


def check_labels(truth: Dataset, data: Path, results: Path | None, out: Path | None) -> bool:
    """Whether there are labels to measure by, which there need not be where results are written.

    Raises:
        TrovidError: If there are none and figures are asked for.
    """
    if any(len(truth.labelled_frames(video.name)) for video in truth.videos):
        return True
    if results is None or out is not None:
        cure = "leave out --out" if results else "--results results.zip writes the tracks alone"
        raise TrovidError(f"{data}: has no labelled frames, so there are no figures: {cure}")
    return False


def write_results(path: Path, found: Mapping[str, Any], truth: Dataset) -> int:
    """Writes what was found for the server of YouTube-VIS.

    Returns:
        How many tracks there are.

    Raises:
        TrovidError: If the file cannot be written, or the model knows none of the classes.
    """
    from trovid.datasets.youtube_vis_results import write_youtube_vis_results
    from trovid.evaluation.tracking import result_tracks

    tracks = result_tracks(found, truth)
    write_youtube_vis_results(path, tracks.items(), truth)
    return sum(map(len, tracks.values()))


def with_identities(
    protocol: str,
    predictor: Predictor,
    truth: Dataset,
    options: DetectOptions,
    *,
    masks: bool = False,
) -> DetectOptions:
    """The options of a model that is run: with identities, and with masks where they are measured.

    Args:
        protocol: Whose figures are wanted.
        predictor: The model.
        truth: The labels.
        options: What else is wanted.
        masks: Masks whatever the labels have.

    Raises:
        TrovidError: If the labels have masks and the model has none, or the model knows none of
            the labels' classes and classes matter.
    """
    from dataclasses import replace

    from trovid.evaluation.tracking import class_places

    if masks or not _knows_no_classes(truth):
        class_places(predictor.class_names, truth)  # refuses before the run
    if masks or (protocol == "youtube-vis" and truth.objects.masks is not None):
        return predictor.segmenting(options)
    return replace(options, track="embedding" if predictor.detector.embeds else "iou")


def measure_tracks(
    protocol: str,
    found: Mapping[str, Any],
    truth: Dataset,
    head: Mapping[str, object],
    *,
    resamples: int = 0,
) -> TrackReport:
    """The figures; of boxes where the labels have no masks, of one class where they know but one.

    Args:
        protocol: Whose figures are wanted.
        found: The predictions.
        truth: The labels.
        head: What the report says of both.
        resamples: How often the videos are drawn for intervals; 0: none.

    Raises:
        TrovidError: If predictions and labels do not fit.
    """
    from trovid.evaluation import evaluate_mot, evaluate_vis

    agnostic = _knows_no_classes(truth)
    options: dict[str, Any] = {"class_agnostic": agnostic, "head": head, "resamples": resamples}
    if protocol == "mot":
        return evaluate_mot(found, truth, **options)
    return evaluate_vis(found, truth, masks=truth.objects.masks is not None, **options)


def print_tracks(report: TrackReport) -> None:
    """The tables, and what must be said beside them."""
    console = table_console()
    print_tables(report.tables(), console)
    if "masks" in report.head:
        console.print(report.head["masks"], highlight=False)


def _knows_no_classes(truth: Dataset) -> bool:
    from trovid.datasets.davis import CLASS

    return truth.class_names == (CLASS,)


def _is_list(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    except OSError as error:
        raise TrovidError(f"cannot read {path}: {error.strerror}") from error
