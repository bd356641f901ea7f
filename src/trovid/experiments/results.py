"""The figures of an experiment's rows: AP50, gains with intervals, order, costs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trovid.datasets.contract import Dataset
from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError
from trovid.evaluation import Bootstrap, bootstrap, match_clips, object_groups, pool_frames
from trovid.evaluation.pool import Pool
from trovid.experiments.costs import read_cost
from trovid.experiments.description import Clips, Experiment, Row
from trovid.experiments.running import Workplace, parts
from trovid.experiments.scoring import load_detections
from trovid.storage.hashes import sha256_of
from trovid.structures import Detections
from trovid.training.provenance import report_origin
from trovid.zoo.cost import step_gflop
from trovid.zoo.weights import read_card

TRAINING_PROVENANCE = ("minutes", "processor_minutes", "memory_mb", "finished", "machine")
"""What a report takes over from a card; None where the card does not say it."""


def experiment_result(
    experiment: Experiment, place: Workplace, *, resamples: int = 1000, began: float | None = None
) -> dict[str, Any]:
    """What the report's JSON holds; figures are fractions of 1.

    Args:
        experiment: What is reported.
        place: Where its results lie.
        resamples: Of the bootstrap.
        began: `time.monotonic()` when this run of the experiment began; None for now.

    Raises:
        TrovidError: If a row was run with other weights than those that are there.
    """
    by_clips: dict[Clips, list[Row]] = {}
    for row in experiment.rows:
        by_clips.setdefault(experiment.clips_of(row), []).append(row)
    began = time.monotonic() if began is None else began
    recipes = {recipe.name: recipe for recipe in map(place.family.recipe, experiment.rows)}
    steps = {name: step_gflop(recipe) for name, recipe in recipes.items()}
    figures: dict[str, dict[str, Any]] = {}
    gains: list[dict[str, Any]] = []
    data: list[dict[str, Any]] = []
    drawn: dict[str, dict[str, Bootstrap]] = {}
    for clips, rows in by_clips.items():
        dataset = read_dataset(place.labels(clips), split="val")
        pools = {row.name: _pools(row, clips, place, dataset) for row in rows}
        first = pools[rows[0].name][0]
        groups = {"all": first.objects.counted, **object_groups(first)}
        found = {name: _bootstrap(pools, active, resamples) for name, active in groups.items()}
        drawn |= dict.fromkeys(pools, found)
        figures |= {
            row.name: {group: _figure(found[group], row.name) for group in groups} for row in rows
        }
        gains += [
            _gains(found, row, over)
            for row, over in experiment.comparisons
            if row in pools and over in pools
        ]
        data.append(
            {
                "clips": clips.key if place.data is None else dataset.info or "videos",
                "videos": len(first.clip_names),
                "every": place.distance(clips),
                "frames": len(first.clips),
                "objects": {name: int(active.sum()) for name, active in groups.items()},
            }
        )
    means = {row.name: figures[row.name]["all"]["mean"] for row in experiment.rows}
    ordered = order(means, experiment)
    same_clips = [(a, b) for a, b in ordered["otherwise"] if drawn[a] is drawn[b]]
    return {
        "experiment": experiment.name,
        "title": experiment.title,
        **report_origin(place.device, began=began),
        "seeds": list(place.seeds),
        "trained": place.trained,
        "resamples": resamples,
        "data": data,
        "tried": experiment.tried,
        "axis": experiment.axis,
        "notes": list(experiment.notes),
        "rows": [
            {
                **_row(row, figures[row.name], place, experiment),
                "step_gflop": steps[place.family.recipe(row).name],
            }
            for row in experiment.rows
        ],
        "gains": gains,
        "order": ordered | {"gains": [_gains(drawn[a], a, b) for a, b in same_clips]},
    }


def order(means: Mapping[str, float], experiment: Experiment) -> dict[str, Any]:
    """Pairs of rows whose order is not the paper's.

    Args:
        means: For each row its figure.
        experiment: Says the paper's.
    """
    published = {row.name: row.published for row in experiment.rows if row.published is not None}
    pairs = [(a, b) for a in published for b in published if published[a] > published[b]]
    return {
        "pairs": len(pairs),
        "otherwise": [[a, b] for a, b in pairs if not means[a] > means[b]],
    }


def _pools(row: Row, clips: Clips, place: Workplace, dataset: Dataset) -> list[Pool]:
    return [
        pool_frames(_detections(row, clips, seed, place, dataset), dataset) for seed in place.seeds
    ]


def _detections(
    row: Row, clips: Clips, seed: int, place: Workplace, dataset: Dataset
) -> dict[str, list[Detections]]:
    weights = sha256_of(place.weights(row, seed))
    videos: dict[str, list[Detections]] = {}
    for file in parts(place.scores(row, seed, clips), len(dataset.videos)):
        detections, head = load_detections(file, dataset)
        if head["weights"] != weights or head["every"] != place.distance(clips):
            raise TrovidError(
                f"{file} was made with other weights or other frames than are asked for: delete "
                f"{file.parent} and run the experiment again"
            )
        videos |= detections
    return videos


def _bootstrap(
    pools: Mapping[str, Sequence[Pool]], active: NDArray[np.bool_], resamples: int
) -> Bootstrap:
    matches = {
        name: [match_clips(pool, active=active) for pool in seeds] for name, seeds in pools.items()
    }
    return bootstrap(matches, resamples=resamples)


def _figure(result: Bootstrap, name: str) -> dict[str, Any]:
    seeds = result.seeds[name]
    spread = float(seeds.std(ddof=1)) if len(seeds) > 1 else math.nan
    interval = result.figure(name)
    return {
        "mean": float(seeds.mean()),
        "spread": None if math.isnan(spread) else spread,
        "seeds": seeds.tolist(),
        "low": interval.low,
        "high": interval.high,
    }


def _gains(found: Mapping[str, Bootstrap], row: str, over: str) -> dict[str, Any]:
    """By group how much a row is above another one."""
    return {
        "row": row,
        "over": over,
        **{g: _gain(result, row, over) for g, result in found.items()},
    }


def _gain(result: Bootstrap, row: str, over: str) -> dict[str, Any]:
    gain = result.gain(row, over)
    each = (result.seeds[row] - result.seeds[over]).tolist()
    return {"value": gain.value, "low": gain.low, "high": gain.high, "seeds": each}


def _row(
    row: Row, figures: dict[str, Any], place: Workplace, experiment: Experiment
) -> dict[str, Any]:
    cards = {seed: read_card(place.weights(row, seed)) for seed in place.seeds}
    trained = [
        {
            "seed": seed,
            **{name: card.provenance.get(name) for name in TRAINING_PROVENANCE},
            "precision": card.provenance.get("precision", "unknown"),
            "commit": card.provenance.get("commit", "unknown"),
            "sha256": sha256_of(place.weights(row, seed)),
        }
        for seed, card in cards.items()
    ]
    return {
        "name": row.name,
        "recipe": place.family.recipe(row).name,
        "options": row.options(),
        "published": row.published,
        "curve": row.curve,
        "x": row.x,
        "axis": row.axis or experiment.axis,
        "figures": figures,
        "trained": trained,
        "cost": read_cost(place.cost_file(row), row, place.family.recipe(row)),
    }
