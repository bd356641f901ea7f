"""The folder that `trovid evaluate --report` writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trovid.cli.messages import complain
from trovid.errors import TrovidError
from trovid.files import replacing

if TYPE_CHECKING:
    from trovid.datasets.contract import Dataset
    from trovid.evaluation.details import WorstFrame
    from trovid.evaluation.report import Report
    from trovid.evaluation.track_report import TrackReport
    from trovid.structures import Detections, VideoDetections

    Found = Mapping[str, Sequence[Detections] | VideoDetections]


def write_report(folder: Path, report: Report, found: Found, dataset: Dataset) -> None:
    """Writes report.json, report.md and report.html.

    Raises:
        TrovidError: If one cannot be written.
    """
    from trovid.viz.evaluation_page import report_markdown, report_page

    title = f"Evaluation of {report.head.get('model') or 'predictions'}"
    page = report_page(report, pictures=_pictures(report, found, dataset), title=title)
    _write(folder, report, report_markdown(report, title=title), page)


def write_track_report(folder: Path, report: TrackReport) -> None:
    """Writes report.json, report.md and report.html, without pictures.

    Raises:
        TrovidError: If one cannot be written.
    """
    from trovid.viz.evaluation_page import tracks_markdown, tracks_page

    title = f"Evaluation of {report.head.get('model') or 'tracks'}"
    _write(folder, report, tracks_markdown(report, title=title), tracks_page(report, title=title))


def _write(folder: Path, report: Report | TrackReport, markdown: str, page: str) -> None:
    report.save(folder / "report.json")
    for name, text in (("report.md", markdown), ("report.html", page)):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def _pictures(
    report: Report, found: Found, dataset: Dataset
) -> Iterator[tuple[WorstFrame, np.ndarray]]:
    """The worst frames with what was found and what is labelled; a video not there is said."""
    from trovid.datasets.video_names import by_labels
    from trovid.structures import VideoDetections
    from trovid.viz.drawing import draw

    found = by_labels(found, dataset)
    for worst in report.worst_frames:
        predictions = found[worst.video]
        frames = predictions.frames() if isinstance(predictions, VideoDetections) else predictions
        detections = next(frame for frame in frames if frame.frame_index == worst.frame)
        try:
            with dataset.open(worst.video) as reader:
                (picture,) = reader.read([worst.frame])
        except TrovidError as error:
            complain(f"the report has no picture of {worst.video}: {error}")
            continue
        score = 0.0 if report.best_score is None else report.best_score
        (truth,) = dataset.ground_truth(worst.video, frames=[worst.frame])
        sure = detections[detections.scores >= score]
        yield worst, draw(picture, sure, ground_truth=truth)
