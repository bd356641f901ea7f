"""Where the points of Temporal RoI Align fall, searched from spoilt objects of real frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trovid.datasets.contract import Dataset
from trovid.evaluation.bootstrap import resample_weights
from trovid.experiments.conditions import Condition
from trovid.experiments.correspondence import positions_inside, ratio_interval
from trovid.experiments.davis_sequences import folds_of
from trovid.experiments.everyday_jobs import loaded
from trovid.experiments.everyday_proposals import EVERY, fold_sums
from trovid.inference.explanation import FrameExplanation, explain_frame, position_of
from trovid.inference.loading import load
from trovid.inference.predictor import Predictor
from trovid.progress import bar
from trovid.structures import SupportSampling
from trovid.video.images import ArrayReader

FIGURES = ("first", "all", "same place", "chance")
"""Share on the object: of the most similar cells, of all K, of the positions' own places in the
support frames, of all places of these."""


def count_points(
    predictor: Predictor,
    dataset: Dataset,
    name: str,
    conditions: Sequence[Condition],
    pictures: Path | None = None,
) -> dict[str, dict[str, float]]:
    """By condition how many points there are in a sequence, and how many lie on the object.

    Args:
        predictor: A model with Temporal RoI Align.
        dataset: The sequences, with masks.
        name: Of the sequence.
        conditions: In which; support frames are clean.
        pictures: Folder for a picture of the middle target frame of each condition.
    """
    from trovid.viz.explanation import save_explanation

    sequence = loaded(dataset, name)
    masks = {
        truth.frame_index: truth.masks.dense()[0]
        for truth in dataset.ground_truth(name, masks=True)
        if truth.masks is not None and len(truth)
    }
    support = str(predictor.options().support)
    indices = SupportSampling.parse(support).indices(len(sequence.frames))
    encoded = predictor.encode([sequence.seen(Condition(), index) for index in indices])
    targets = [index for index in range(0, len(sequence.frames), EVERY) if index in masks]
    counts = {}
    for condition in conditions:
        sums = dict.fromkeys(("points", *FIGURES), 0.0)
        for index in targets:
            frames = list(sequence.frames)
            frames[index] = sequence.seen(condition, index).image
            whole = explain_frame(
                predictor,
                ArrayReader(frames),
                frame=index,
                boxes=[sequence.boxes[index]],
                support=support,
                encoded=encoded,
            )
            inside = positions_inside(masks[index], whole.boxes[0], whole.points.shape[3:5])
            for figure, number in _on_object(whole, inside, masks).items():
                sums[figure] += number
            if pictures is not None and index == targets[len(targets) // 2] and inside.any():
                pictures.mkdir(parents=True, exist_ok=True)
                row, column = _middle(inside)
                save_explanation(
                    position_of(whole, 0, row, column),
                    pictures / f"{name}-{condition.key}.png",
                    title=f"{name}, frame {index}, {condition.key}",
                )
        counts[condition.key] = sums
    return counts


def _on_object(
    whole: FrameExplanation, inside: Tensor, masks: Mapping[int, Tensor]
) -> dict[str, float]:
    """Sums over the positions within the object and the support frames that show it."""
    sums = dict.fromkeys(("points", *FIGURES), 0.0)
    count = int(inside.sum())
    x1, y1, x2, y2 = whole.boxes[0].tolist()
    rows, columns = inside.nonzero().unbind(1)
    centres = torch.stack(
        [
            x1 + (columns + 0.5) / inside.shape[1] * (x2 - x1),
            y1 + (rows + 0.5) / inside.shape[0] * (y2 - y1),
        ],
        -1,
    )
    for place, frame in enumerate(whole.support):
        mask = masks.get(frame.index)
        if mask is None or not count:
            continue
        hits = _at(mask, whole.points[0, place][:, inside])
        sums["points"] += count
        sums["first"] += float(hits[0].sum())
        sums["all"] += float(hits.float().mean(0).sum())
        sums["same place"] += float(_at(mask, centres).sum())
        sums["chance"] += count * float(mask.float().mean())
    return sums


def _at(mask: Tensor, points: Tensor) -> Tensor:
    """Whether the mask covers places Tensor[..., 2], x y in pixels."""
    x, y = points.long().unbind(-1)
    return mask[y.clamp(0, mask.shape[0] - 1), x.clamp(0, mask.shape[1] - 1)]


def _middle(inside: Tensor) -> tuple[int, int]:
    """Row and column of the position within the object that is nearest to the grid's middle."""
    places = inside.nonzero()
    middle = torch.tensor(inside.shape) // 2
    row, column = places[(places - middle).pow(2).sum(1).argmin()].tolist()
    return row, column


def measure_points(
    weights: Path,
    dataset: Dataset,
    conditions: Sequence[Condition],
    names: Sequence[str],
    pictures: Path | None = None,
    *,
    resamples: int,
) -> dict[str, Any]:
    """Where points fall in some sequences, with intervals over them.

    Args:
        weights: Of the model with Temporal RoI Align.
        dataset: DAVIS 2016.
        conditions: Clean, and with spoilt target frames.
        names: The sequences.
        pictures: See `count_points`.
        resamples: Of the bootstrap; near duplicates are one sequence.
    """
    predictor = load(weights, device="cpu")
    counted = {}
    with bar("points", unit="sequences") as tick:
        for done, name in enumerate(names, 1):
            counted[name] = count_points(predictor, dataset, name, conditions, pictures)
            tick(done, len(names), name)
    folds = set(folds_of(names))
    drawn = resample_weights(len(folds), resamples=resamples)
    rows = {}
    for condition in conditions:
        sums = {
            figure: fold_sums(names, [counts[condition.key][figure] for counts in counted.values()])
            for figure in ("points", *FIGURES)
        }
        rows[condition.key] = {
            "points": int(sums["points"].sum()),
            **{f: ratio_interval(sums[f], sums["points"], drawn) for f in FIGURES},
        }
    return {
        "sequences": list(names),
        "folds": len(folds),
        "resamples": resamples,
        "top_k": predictor.running.roi_features.extractor.top_k,
        "rows": rows,
    }
