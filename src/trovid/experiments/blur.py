"""Objects of real sequences covered: how often one is seen, and what is covered besides.

DAVIS 2016 with the mask of one object a frame. Each model looks for the classes of the sequence's
object and nothing else; its boxes are covered as found, and with gaps filled. All settings are the
defaults of `Redaction`, and no detection is left out by the tracker, as in `trovid blur`: nothing
is chosen here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trovid.errors import TrovidError
from trovid.evaluation.bootstrap import resample_weights
from trovid.evaluation.exposure import VISIBLE_SHARE, Exposure, frame_exposure
from trovid.experiments.davis_sequences import CLASSES, REPORTING, folds_of
from trovid.experiments.markdown import origin_text, table, written
from trovid.experiments.premise import MaskedSequence, sequences
from trovid.inference.loading import load
from trovid.inference.predictor import Predictor
from trovid.progress import bar
from trovid.redaction.covering import coverage, regions
from trovid.redaction.filled import FilledBoxes, filled_trajectories
from trovid.redaction.found import FoundObjects
from trovid.redaction.options import Redaction
from trovid.redaction.redacting import LOWEST_SCORE, without_loss
from trovid.training.provenance import report_origin
from trovid.video.opening import open_video

NAME = "blur"
MODELS = ("everyday-single", "everyday-selsa-troi")
FOUND, FILLED = "as found", "gaps filled"
FIGURES = {
    "visible": f"objects with more than {VISIBLE_SHARE:.0%} of the mask visible",
    "pixels": "pixels of objects visible",
    "outside": "covered outside, share of the frame",
}


def measure(
    predictor: Predictor,
    sequence: MaskedSequence,
    classes: Sequence[str],
    redaction: Redaction,
    *,
    score: float = LOWEST_SCORE,
) -> dict[str, Exposure]:
    """What is seen of a sequence's object, as found and with gaps filled.

    Args:
        predictor: Who looks for it.
        sequence: Its pictures and masks.
        classes: What it may be called.
        redaction: How it is covered; `by` a box or an ellipse.
        score: Lowest score that counts.
    """
    found = FoundObjects(Path())
    reader = open_video(sequence.images)
    runs = predictor.detect(reader, score=score, classes=classes, track="iou", continue_score=1.0)
    for detections in runs:
        found.add(detections)
    size = reader.video.height, reader.video.width
    filled = filled_trajectories(found, longest=redaction.fill_gaps, size=size)
    extra = FilledBoxes(filled)
    sums = {FOUND: Exposure(), FILLED: Exposure()}
    for place, file in enumerate(sequence.masks):
        mask = np.asarray(Image.open(file).convert("L"))[None] > 0
        found_boxes = found.detections(place).boxes.tolist()
        for name, boxes in ((FOUND, found_boxes), (FILLED, [*found_boxes, *extra.boxes(place)])):
            shapes = regions(boxes, size=size, by=redaction.by, margin=redaction.margin)
            sums[name] += frame_exposure(mask, coverage(shapes, size))
    return sums


def run_blur(
    data: Path,
    *,
    models: Sequence[str] = MODELS,
    folder: Path,
    redaction: Redaction | None = None,
    names: Sequence[str] = REPORTING,
    resamples: int = 1000,
    device: str = "cpu",
) -> tuple[dict[str, Any], str]:
    """Covers the object of each sequence with each model, and reports.

    Args:
        data: DAVIS 2016.
        models: Names or weights files, single-frame first.
        folder: Of the report.
        redaction: How objects are covered.
        names: The sequences; those without one of the classes are left out.
        resamples: Of the bootstrap over sequences.
        device: Where models run.

    Raises:
        TrovidError: If no sequence is there, or a model knows none of the classes.
    """
    began, redaction = time.monotonic(), redaction or Redaction()
    wanted = [
        sequence
        for sequence in sequences(data)
        if sequence.name in names and sequence.name in CLASSES
    ]
    if not wanted:
        raise TrovidError(f"{data}: holds none of the sequences {', '.join(names[:5])}, ...")
    measured: dict[str, list[Exposure]] = {}
    for model in models:
        predictor = without_loss(load(model, device=device))
        kept = [_known(predictor, CLASSES[sequence.name]) for sequence in wanted]
        if not all(kept):
            missing = wanted[kept.index(())].name
            raise TrovidError(
                f"{predictor.name} knows no class of {missing} ({', '.join(CLASSES[missing])}): "
                "give models of everyday things"
            )
        with bar(f"{NAME}, {predictor.name}", unit="sequences") as tick:
            for done, (sequence, classes) in enumerate(zip(wanted, kept, strict=True), 1):
                for name, sums in measure(predictor, sequence, classes, redaction).items():
                    measured.setdefault(f"{predictor.name}, {name}", []).append(sums)
                tick(done, len(wanted), sequence.name)
    folds = folds_of(sequence.name for sequence in wanted)
    result = {
        "experiment": NAME,
        "sequences": [sequence.name for sequence in wanted],
        "score": LOWEST_SCORE,
        "by": redaction.by,
        "margin": redaction.margin,
        "fill_gaps": redaction.fill_gaps,
        "resamples": resamples,
        **report_origin(device, began=began),
        "figures": exposure_figures(measured, folds, resamples=resamples),
        "by_sequence": {
            name: {sequence.name: sums.counts for sequence, sums in zip(wanted, rows, strict=True)}
            for name, rows in measured.items()
        },
    }
    page = blur_page(result)
    folder.mkdir(parents=True, exist_ok=True)
    written(folder / f"{NAME}.json", json.dumps(result, indent=1) + "\n")
    written(folder / f"{NAME}.md", page)
    return result, page


def exposure_figures(
    measured: Mapping[str, Sequence[Exposure]], folds: Sequence[str], *, resamples: int
) -> dict[str, dict[str, dict[str, float]]]:
    """By method its figures and how much they are above those of the first method.

    All objects of all sequences are one pool; intervals (95 %) draw whole folds of sequences, the
    same for every method.

    Args:
        measured: By method the sums of each sequence.
        folds: For each sequence its fold.
        resamples: Of the bootstrap.
    """
    kinds = sorted(set(folds))
    member = np.array([[fold == kind for fold in folds] for kind in kinds], dtype=np.float64)
    drawn = resample_weights(len(kinds), resamples=resamples) @ member
    weights = np.concatenate((np.ones((1, len(folds))), drawn))
    shares = {
        name: _shares(weights @ np.array([sums.counts for sums in rows], dtype=np.float64))
        for name, rows in measured.items()
    }
    first = next(iter(shares.values()))
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for name, columns in shares.items():
        figures[name] = {}
        for key in FIGURES:
            figures[name][key] = _interval(columns[key])
            figures[name][f"{key} above"] = _interval(columns[key] - first[key])
    return figures


def _shares(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    objects, visible, seen, pixels, outside, frame = sums.T
    return {
        "visible": visible / np.maximum(objects, 1),
        "pixels": seen / np.maximum(pixels, 1),
        "outside": outside / np.maximum(frame, 1),
    }


def _interval(values: NDArray[np.float64]) -> dict[str, float]:
    """The figure of all sequences, which comes first, with the interval of the resamples."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return {"value": float(values[0]), "low": float(low), "high": float(high)}


def _known(predictor: Predictor, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in predictor.class_names)


def blur_page(result: dict[str, Any]) -> str:
    """The report as a page."""
    figures = result["figures"]
    first = next(iter(figures))
    lines = [
        "# Objects of real sequences covered: what stays visible",
        "",
        f"{len(result['sequences'])} sequences of DAVIS with one object each. Every model looks "
        f"for the classes of the object alone, at score {result['score']:g} or more; covered by "
        f'{result["by"]} with {result["margin"]:.0%} beyond. "{FILLED}": up to '
        f"{result['fill_gaps']} frames on each side of a sighting. In per cent, with the 95 % "
        f"interval over sequences ({result['resamples']} resamples). {origin_text(result)}",
        "",
        *table(
            ["method", *FIGURES.values()],
            [
                [name, *(_text(intervals[key]) for key in FIGURES)]
                for name, intervals in figures.items()
            ],
        ),
        "",
        f"Difference to {first}:",
        "",
        *table(
            ["method", *FIGURES.values()],
            [
                [name, *(_text(intervals[f"{key} above"], "+") for key in FIGURES)]
                for name, intervals in figures.items()
                if name != first
            ],
        ),
        "",
    ]
    return "\n".join(lines)


def _text(interval: Mapping[str, float], sign: str = "") -> str:
    value, low, high = (f"{100 * interval[key]:{sign}.1f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
