"""Whether an object of a spoilt frame is missed by the RPN or by the box head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchvision.ops import box_iou

from trovid.datasets.contract import Dataset
from trovid.evaluation.bootstrap import resample_weights
from trovid.experiments.conditions import ALONE, CLEAN, Condition
from trovid.experiments.correspondence import ratio_interval
from trovid.experiments.davis_sequences import FOLDS, folds_of
from trovid.experiments.everyday_jobs import loaded, scene_of
from trovid.experiments.everyday_methods import (
    CARRIED,
    LOWEST_SCORE,
    SINGLE,
    Method,
    method_model,
)
from trovid.experiments.everyday_pictures import MATCH, SHOWN, look
from trovid.experiments.object_matches import match_objects
from trovid.inference.predictor import Predictor
from trovid.progress import bar
from trovid.structures import Detections, SupportSampling

ROWS = ("single-frame", "with boxes taken over")
FIGURES = ("0.5", "0.75", "found", "at all")
"""Share of objects that a proposal overlaps by so much, that are found at `SHOWN`, at any score."""

EVERY = 4 * ALONE
"""Every so many frames one is looked at; each of them is spoilt where not all are clean."""

Counts = dict[str, float]
"""Sums over the frames of a sequence."""


def count_proposals(
    predictor: Predictor, dataset: Dataset, name: str, conditions: Sequence[Condition]
) -> dict[str, dict[str, Counts]]:
    """By condition and row what is proposed and found in a sequence.

    Boxes that are taken over change nothing of what is found in the others, so one look says both.

    Args:
        predictor: The single-frame model with boxes taken over.
        dataset: The sequences.
        name: Of the sequence.
        conditions: In which; support frames are clean.
    """
    sequence = loaded(dataset, name)
    options = predictor.options(score=LOWEST_SCORE)
    indices = SupportSampling.parse(str(options.support)).indices(len(sequence.frames))
    encoded = predictor.encode([sequence.seen(CLEAN, index) for index in indices])
    frames = [i for i in range(0, len(sequence.frames), EVERY) if i in sequence.boxes]
    truths = dataset.ground_truth(name, frames=frames)
    counts: dict[str, dict[str, Counts]] = {}
    for condition in conditions:
        sums = {row: dict.fromkeys(("frames", "proposals", *FIGURES), 0.0) for row in ROWS}
        detections: dict[str, list[Detections]] = {row: [] for row in ROWS}
        for index, truth in zip(frames, truths, strict=True):
            seen = look(predictor, sequence.seen(condition, index), encoded.without(index))
            for row, count in zip(ROWS, (seen.proposed, len(seen.boxes)), strict=True):
                overlaps = box_iou(truth.boxes[:1], seen.boxes[:count])[0]
                sums[row]["proposals"] += count
                for iou in (MATCH, 0.75):
                    sums[row][f"{iou:g}"] += bool((overlaps >= iou).any())
                boxes, scores = seen.found.boxes[:count], seen.found.class_scores[:count]
                some = replace(seen.found, boxes=boxes, class_scores=scores)
                detections[row].append(some.select(options))
        for row, found in detections.items():
            matches = match_objects({name: found}, dataset, {name: scene_of(name)})
            sums[row]["frames"] = len(frames)
            sums[row]["found"] = matches.found_at(SHOWN) * len(frames)
            sums[row]["at all"] = matches.found_at(LOWEST_SCORE) * len(frames)
        counts[condition.key] = sums
    return counts


def fold_sums(names: Sequence[str], values: Sequence[float]) -> NDArray[np.float64]:
    """Array[folds], sums of the sequences' values; near duplicates are one fold."""
    sums: dict[str, float] = {}
    for name, value in zip(names, values, strict=True):
        fold = FOLDS.get(name, name)
        sums[fold] = sums.get(fold, 0.0) + value
    return np.array(list(sums.values()), dtype=np.float64)


def measure_proposals(
    weights: Path,
    dataset: Dataset,
    conditions: Sequence[Condition],
    names: Sequence[str],
    *,
    resamples: int,
) -> dict[str, Any]:
    """What is proposed and found in some sequences, with intervals over them.

    Args:
        weights: Of the single-frame model.
        dataset: DAVIS 2016.
        conditions: Clean, and with spoilt target frames.
        names: The sequences, all of which show one of the classes.
        resamples: Of the bootstrap; near duplicates are one sequence.
    """
    predictor = method_model(weights, Method(name=ROWS[1], model=SINGLE, carried=CARRIED))
    counted = {}
    with bar("proposals", unit="sequences") as tick:
        for done, name in enumerate(names, 1):
            counted[name] = count_proposals(predictor, dataset, name, conditions)
            tick(done, len(names), name)
    folds = set(folds_of(names))
    drawn = resample_weights(len(folds), resamples=resamples)
    rows: dict[str, dict[str, Any]] = {}
    for condition in conditions:
        for row in ROWS:
            sums = {}
            for figure in ("frames", "proposals", *FIGURES):
                values = [counts[condition.key][row][figure] for counts in counted.values()]
                sums[figure] = fold_sums(names, values)
            rows.setdefault(condition.key, {})[row] = {
                "frames": int(sums["frames"].sum()),
                "proposals": float(sums["proposals"].sum() / sums["frames"].sum()),
                **{f: ratio_interval(sums[f], sums["frames"], drawn) for f in FIGURES},
            }
    return {"sequences": list(names), "folds": len(folds), "resamples": resamples, "rows": rows}
