"""`trovid experiment correspondence`: clips, models, controls, intervals, page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.bootstrap import resample_weights
from trovid.experiments.clip_records import read_records
from trovid.experiments.correspondence import (
    CONTROLS,
    Followed,
    Preferring,
    accuracies,
    follow_clips,
    preferences,
    ratio_interval,
    read_followed,
)
from trovid.experiments.description import Clips, Experiment, Row
from trovid.experiments.markdown import hashes_text, origin_text, table, written
from trovid.experiments.pictures import Panel, draw_panels
from trovid.experiments.pool import process_pool
from trovid.experiments.running import Workplace, train
from trovid.experiments.selsa_attention import Weighed, read_weighed, weigh_clips
from trovid.progress import bar
from trovid.storage.hashes import sha256_of
from trovid.training.provenance import report_origin

CLIPS = Clips(first=1700, count=100, every=5)
MODELS = (
    Row(name="TROI", recipe="single-troi"),
    Row(name="SELSA + TROI", recipe="selsa-troi"),
)
SELSA_MODELS = (Row(name="SELSA", recipe="selsa"), MODELS[1])
"""Those whose attention over proposals is looked at."""
NAME = "correspondence"
TITLE = "Is the most similar cell on the same object?"


def run_correspondence(
    place: Workplace, *, clips: int | None = None, resamples: int = 1000, folder: Path
) -> tuple[dict[str, Any], str]:
    """Computes what is missing and writes correspondence.json, .md and .png; returns two of them.

    Args:
        place: Where and how.
        clips: So many clips at most; for a try.
        resamples: Of the bootstrap over clips.
        folder: Of the report.

    Raises:
        TrovidError: If figures lie there that other weights gave.
    """
    began = time.monotonic()
    rows = tuple(dict.fromkeys((*MODELS, *SELSA_MODELS)))
    experiment = Experiment(name=NAME, title=TITLE, clips=CLIPS, rows=rows)
    if clips is not None:
        experiment = experiment.with_clips(clips)
    train(experiment, place)
    data = place.labels(experiment.clips)
    files = _files(experiment, place)
    weighed = _weighed_files(experiment, place)
    every = experiment.clips.every
    made_with = {file: place.weights(*job[:2]) for file, job in (files | weighed).items()}
    for file in filter(Path.exists, made_with):
        read_records(file, weights=made_with[file], every=every)
    jobs: dict[Path, Callable[[], None]] = {
        file: partial(follow_clips, file, place.weights(row, seed), data, every=every, control=c)
        for file, (row, seed, c) in files.items()
    }
    jobs |= {
        file: partial(weigh_clips, file, place.weights(row, seed), data, every=every)
        for file, (row, seed) in weighed.items()
    }
    missing = [job for file, job in jobs.items() if not file.exists()]
    if missing:
        with process_pool(place.workers) as pool, bar(NAME, unit="runs") as tick:
            futures = [pool.submit(job) for job in missing]
            for done, future in enumerate(futures, 1):
                future.result()
                tick(done, len(futures))
    result = _result(experiment, place, files, weighed, resamples, began)
    page = correspondence_page(result)
    folder.mkdir(parents=True, exist_ok=True)
    written(folder / f"{NAME}.json", json.dumps(result, indent=1) + "\n")
    written(folder / f"{NAME}.md", page)
    draw_correspondence(result, folder / f"{NAME}.png")
    return result, page


Job = tuple[Row, int, str | None]
"""A model, its seed, and a control in place of its features."""


def _files(experiment: Experiment, place: Workplace) -> dict[Path, Job]:
    folder = place.out / "scores" / experiment.clips.key / NAME
    jobs: list[Job] = [(row, seed, None) for row in MODELS for seed in place.seeds]
    jobs += [(MODELS[0], place.seeds[0], control) for control in CONTROLS]
    return {
        folder / f"{place.weights(row, seed).stem}{f'-{c}'.replace(' ', '-') if c else ''}.json": (
            row,
            seed,
            c,
        )
        for row, seed, c in jobs
    }


def _weighed_files(experiment: Experiment, place: Workplace) -> dict[Path, tuple[Row, int]]:
    folder = place.out / "scores" / experiment.clips.key / NAME
    return {
        folder / f"{place.weights(row, seed).stem}-selsa-weights.json": (row, seed)
        for row in SELSA_MODELS
        for seed in place.seeds
    }


def _result(
    experiment: Experiment,
    place: Workplace,
    files: dict[Path, Job],
    weighed: dict[Path, tuple[Row, int]],
    resamples: int,
    began: float,
) -> dict[str, Any]:
    by_row: dict[str, list[dict[str, list[Followed]]]] = {}
    every = experiment.clips.every
    for file, (row, seed, control) in files.items():
        followed = read_followed(file, weights=place.weights(row, seed), every=every)
        by_row.setdefault(control or row.name, []).append(followed)
    proposals: dict[str, list[dict[str, list[Weighed]]]] = {}
    for file, (row, seed) in weighed.items():
        found = read_weighed(file, weights=place.weights(row, seed), every=every)
        proposals.setdefault(row.name, []).append(found)
    number = len(next(iter(by_row.values()))[0])
    drawn = resample_weights(number, resamples=resamples)
    weights = [place.weights(row, seed) for row in experiment.rows for seed in place.seeds]
    return {
        "experiment": NAME,
        "title": TITLE,
        "clips": experiment.clips.key,
        "every": every,
        "seeds": list(place.seeds),
        "trained": place.trained,
        "resamples": resamples,
        **report_origin(began=began),
        "weights": {file.stem: sha256_of(file) for file in weights},
        "accuracy": {name: _accuracy(runs, drawn) for name, runs in by_row.items()},
        "attention": {row.name: _attention(by_row[row.name], drawn) for row in MODELS},
        "selsa_attention": {name: _attention(runs, drawn) for name, runs in proposals.items()},
    }


def _accuracy(
    runs: list[dict[str, list[Followed]]], drawn: NDArray[np.int32]
) -> dict[str, dict[str, Any]]:
    """By group the share of positions that hit, and chance; seeds are put together."""
    each = [accuracies(run) for run in runs]
    found = {}
    for group in each[0]:
        hits, positions, chance, near, near_chance = (
            np.sum([by_group[group][name] for by_group in each if group in by_group], axis=0)
            for name in ("hits", "positions", "chance", "near", "near_chance")
        )
        found[group] = {
            **ratio_interval(hits, positions, drawn),
            "chance": float(chance.sum() / positions.sum()),
            "positions": int(positions.sum()),
            "near": ratio_interval(near, positions, drawn),
            "near_chance": float(near_chance.sum() / positions.sum()),
        }
    return found


def _attention(
    runs: Sequence[Mapping[str, Sequence[Preferring]]], drawn: NDArray[np.int32]
) -> dict[str, dict[str, Any]]:
    each = [preferences(run) for run in runs]
    found = {}
    for name in each[0]:
        values = np.stack([by_name[name] for by_name in each])
        known = ~np.isnan(values)
        counts, sums = known.sum(0).astype(float), np.where(known, values, 0.0).sum(0)
        found[name] = ratio_interval(sums, counts, drawn) if counts.any() else {}
    return found


def correspondence_page(result: dict[str, Any]) -> str:
    """The report as a page of tables, in per cent."""
    accuracy = result["accuracy"]
    groups = list(next(iter(accuracy.values())))
    first = next(iter(accuracy.values()))
    seeds = ", ".join(map(str, result["seeds"]))
    weights = (
        f"seeds {seeds}"
        if result["trained"]
        else f"the weights that come with trovid, all of one seed ({seeds})"
    )
    lines = [
        f"# {result['title']}",
        "",
        f"{result['clips']}, one frame in {result['every']} as target; {weights}. "
        f"{origin_text(result)} {hashes_text(result)}",
        "",
        "RoI positions whose centre lies within the object's mask, in every support frame in which "
        "the object is labelled: how often the most similar cell's centre lies within its mask "
        f"there (per cent), with the 95 % interval over clips ({result['resamples']} resamples). "
        "Chance: the share of cells that lie on it.",
        "",
        *table(
            ["target's object", "positions", *accuracy, "chance"],
            [
                [
                    group,
                    str(first[group]["positions"]),
                    *(_interval(by_group.get(group), 100) for by_group in accuracy.values()),
                    f"{100 * first[group]['chance']:.1f}",
                ]
                for group in groups
            ],
        ),
        "",
        "The same where the most similar cell may lie next to the object too: a cell is a "
        "twentieth of the picture's side, the pictograms are narrow and have holes, and what a "
        "cell's features describe is wider than the cell. This table and the split by the object's "
        "state in both frames were added after a first look at the figures, on the same clips.",
        "",
        *table(
            ["target's object", *accuracy, "chance"],
            [
                [
                    group,
                    *(
                        _interval(by_group.get(group, {}).get("near"), 100)
                        for by_group in accuracy.values()
                    ),
                    f"{100 * first[group]['near_chance']:.1f}",
                ]
                for group in groups
            ],
        ),
        "",
        "## Attention and clearness",
        "",
        "Mean temporal weight of support frames in which the object is clean and deteriorated, and "
        "Spearman's rank correlation of weight and clearness within a clip.",
        "",
        *_preferences(result["attention"]),
        "",
        *_selsa(result.get("selsa_attention")),
    ]
    return "\n".join(lines)


def draw_correspondence(result: dict[str, Any], path: Path) -> None:
    """Accuracy by distance, and by the state of the object in both frames."""
    accuracy = result["accuracy"]
    first = next(iter(accuracy.values()))
    distances = [group for group in first if group.startswith("distance: ")]
    states = [group for group in first if not group.startswith(("distance: ", "kind: "))]

    def panel(axis: str, groups: list[str], *, joined: bool) -> Panel:
        curves = {
            name: [by_group.get(group) for group in groups] for name, by_group in accuracy.items()
        }
        curves["chance"] = [{"value": first[group]["chance"]} for group in groups]
        words = [group.removeprefix("distance: ") for group in groups]
        return Panel(axis=axis, places=words, curves=curves, joined=joined)

    panels = [panel("state of the target's object", states, joined=False)]
    if distances:
        panels.insert(0, panel("frames to the support frame", distances, joined=True))
    draw_panels(path, result["title"], panels, measure="most similar cells on the object")


def _preferences(attention: dict[str, dict[str, Any]]) -> list[str]:
    return table(
        ["model", "clean", "deteriorated", "rank correlation"],
        [
            [
                name,
                *(_interval(intervals[kind], 1, 3) for kind in ("clean", "deteriorated", "rank")),
            ]
            for name, intervals in attention.items()
        ],
    )


def _selsa(attention: dict[str, dict[str, Any]] | None) -> list[str]:
    if attention is None:
        return ["SELSA's own weights were not looked at in this run.", ""]
    return [
        "The same of SELSA's own weights: what the labelled box's attention gives all proposals of "
        "a support frame together, mean over heads and layers.",
        "",
        *_preferences(attention),
        "",
    ]


def _interval(interval: dict[str, Any] | None, factor: float, digits: int = 1) -> str:
    if not interval:
        return "-"
    value, low, high = (factor * interval[name] for name in ("value", "low", "high"))
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
