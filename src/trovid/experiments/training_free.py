"""Temporal RoI Align without training: chosen on validation clips, then reported once.

The grid is small and said beforehand, and so is the rule: of the settings whose AP50 of clean
objects is at most `CLEAN_LOSS` below the single-frame detector's, the one of the highest AP50 of
all objects; each stage keeps what the stage before chose. In the end those are left out whose frame
costs more than `COST` times a single frame, unless no setting that spares clean objects is left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from trovid.errors import TrovidError
from trovid.experiments.costs import read_cost
from trovid.experiments.description import Clips, Experiment, Row
from trovid.experiments.everyday_methods import Method
from trovid.experiments.markdown import written
from trovid.experiments.pages import write_experiment
from trovid.experiments.results import experiment_result
from trovid.experiments.running import Workplace, measure, score, train
from trovid.experiments.tables import SINGLE, TROI
from trovid.recipes import TrainingFreeRecipe

VALIDATION = Clips(split="val", first=0, count=60)
TEST = Clips(first=1000)
CLEAN_LOSS = 0.003
"""Of AP50, that clean frames may lose."""
COST = 1.5
"""Times a single frame, that a frame may cost; measured in turns on the machine at hand."""
CHOICE = "training-free-choice.json"
FREE = TrainingFreeRecipe()


def stages(chosen: TrainingFreeRecipe, stage: int) -> list[TrainingFreeRecipe]:
    """The settings of a stage, which all differ from what was chosen before in one respect."""
    if stage == 0:
        kinds: list[TrainingFreeRecipe] = [replace(chosen, attention="mean", scale=1.0)]
        kinds += [replace(chosen, attention="dot", scale=scale) for scale in (0.03, 0.1, 0.3)]
        kinds += [replace(chosen, attention="cosine", scale=scale) for scale in (3.0, 10.0)]
        kinds += [replace(chosen, attention="projection", scale=s) for s in (1.0, 3.0)]
        return kinds
    if stage == 1:
        return [replace(chosen, num_heads=heads) for heads in (1, 4)]
    if stage == 2:
        return [replace(chosen, top_k=top_k) for top_k in (1, 2, 4, 6)]
    return [
        chosen,
        *(replace(chosen, own_weight=weight) for weight in (2.0, 5.0)),
        *(replace(chosen, similarity_power=power) for power in (2.0, 8.0)),
        *(replace(chosen, sharpness_power=power) for power in (2.0, 8.0)),
    ]


STAGES = 4
SUPPORT = (2, 6, 14, 20)
"""T, looked at in the end; not chosen, since more frames cost more."""


def row_of(setting: TrainingFreeRecipe, *, support: str | None = None) -> Row:
    """The row of a setting, named by what is not the default."""
    changed = {k: v for k, v in asdict(setting).items() if v != getattr(FREE, k)}
    words = [f"{name} {value}" for name, value in changed.items()]
    words += [support] if support else []
    name = f"training-free: {', '.join(words) or 'dot 0.1, K = 4'}"
    return Row(name=name, recipe="single", temporal=setting, support=support)


def choose(
    place: Workplace, *, clips: int | None = None, resamples: int = 1000, folder: Path
) -> Experiment:
    """Goes through the stages on validation clips and returns the experiment to be reported.

    Writes training-free-val.* with all that was looked at, and training-free-choice.json. Costs
    are measured once and kept in `place`; where a choice of the same clips lies in `folder` and
    another setting comes out, nothing is written.

    Args:
        place: Where and how.
        clips: So many clips at most; for a try.
        resamples: Of the bootstrap.
        folder: Of the reports.

    Raises:
        TrovidError: If another setting comes out than was chosen before.
    """
    chosen, seen, figures = FREE, dict[str, Row](), dict[str, dict[str, float]]()
    for stage in range(STAGES):
        rows = [row_of(setting) for setting in stages(chosen, stage)]
        seen |= {row.key: row for row in rows}
        figures |= _figures(_validation("training-free-val", rows, clips), place)
        chosen = _best(rows, figures)
    measure(_validation("training-free-val", list(seen.values()), clips), place)
    times = {row.name: _times(row, place) for row in seen.values()}
    chosen, note = within_cost(chosen, list(seen.values()), figures, times)
    counts = [row_of(chosen, support=f"uniform:{count}") for count in SUPPORT]
    seen |= {row.key: row for row in counts}
    everything = replace(
        _validation("training-free-val", list(seen.values()), clips), notes=(note,)
    )
    document = {
        "chosen": asdict(chosen),
        "rule": f"clean AP50 at most {CLEAN_LOSS} below single-frame; of these a frame at most "
        f"{COST} times a single frame, where any is",
        "cost": note,
        "times_single": times,
        "clips": everything.clips.key,
    }
    refuse_another(folder / CHOICE, document)
    score(everything, place)
    measure(everything, place)
    result = experiment_result(everything, place, resamples=resamples)
    write_experiment(result, folder)
    written(folder / CHOICE, json.dumps(document, indent=1) + "\n")
    return reported(chosen)


def within_cost(
    chosen: TrainingFreeRecipe,
    rows: Sequence[Row | Method],
    figures: Mapping[str, Mapping[str, float]],
    times: Mapping[str, float],
    *,
    clean_loss: float = CLEAN_LOSS,
) -> tuple[TrainingFreeRecipe, str]:
    """What is left of a choice by AP50 when dear settings are left out, and a sentence on it.

    Args:
        chosen: By AP50 alone.
        rows: All settings that were looked at.
        figures: By row and group the mean over seeds, the single-frame detector's too.
        times: By row how many times a single frame a frame costs.
        clean_loss: Of AP50, that clean frames may lose.
    """
    harmless = _harmless(rows, figures, clean_loss)
    cheap = [row for row in harmless if times[row.name] <= COST]
    dear = sum(times[row.name] > COST for row in rows)
    words = (
        f"A frame may cost {COST} times a single frame (runs in turns): {dear} of {len(rows)} "
        "settings cost more"
    )
    if cheap:
        return _best(cheap, figures, clean_loss), f"{words} and are left out."
    if not harmless:
        return chosen, f"{words}; none spares clean objects, so AP50 alone decided."
    least = min(harmless, key=lambda row: times[row.name])
    return chosen, (
        f"{words}, among them all that spare clean objects (the cheapest, {least.name}: "
        f"{times[least.name]:.2f} times), so AP50 alone decided; cost has left nothing out."
    )


def refuse_another(file: Path, document: Mapping[str, Any]) -> None:
    """Raises a TrovidError where another setting was chosen before on the same clips."""
    if not file.exists():
        return
    before = json.loads(file.read_text(encoding="utf-8"))
    same = before.get("clips") == document["clips"]
    if same and before["chosen"] != document["chosen"]:
        was, now = (
            row_of(TrainingFreeRecipe(**choice["chosen"])).name for choice in (before, document)
        )
        raise TrovidError(
            f"{file} chose {was!r}, and now {now!r} comes out, since figures or costs differ: "
            "delete it to choose anew, or report into another folder"
        )


def _times(row: Row, place: Workplace) -> float:
    return read_cost(place.cost_file(row), row, place.family.recipe(row))["times_single"]


def reported(chosen: TrainingFreeRecipe) -> Experiment:
    """What is reported of a choice, once, on test clips that nobody looked at before."""
    best = replace(row_of(chosen), name="training-free, chosen")
    mean = replace(row_of(replace(FREE, attention="mean")), name="training-free, mean, K = 4")
    plain = replace(row_of(FREE), name="training-free, dot 0.1, K = 4")
    troi = replace(TROI, name="Temporal RoI Align, trained", published=None)
    rows = [replace(SINGLE, published=None), mean, plain, best, troi]
    if best.key == plain.key:
        rows.remove(plain)
    pairs = [(row.name, SINGLE.name) for row in rows[1:]]
    return Experiment(
        name="training-free",
        title="Temporal RoI Align without training",
        clips=TEST,
        rows=tuple(rows),
        comparisons=(*pairs, (troi.name, best.name)),
        notes=(
            "The setting was chosen on validation clips (training-free-val.md, "
            "training-free-choice.json) and reported once.",
        ),
    )


def _validation(name: str, rows: Sequence[Row], clips: int | None) -> Experiment:
    single = replace(SINGLE, published=None)
    whole = Experiment(
        name=name,
        title="Temporal RoI Align without training: what was looked at to choose",
        clips=VALIDATION,
        rows=(single, *rows),
        comparisons=tuple((row.name, single.name) for row in rows),
    )
    return whole if clips is None else whole.with_clips(clips)


def _figures(experiment: Experiment, place: Workplace) -> dict[str, dict[str, float]]:
    """By row and group the mean over seeds."""
    train(experiment, place)
    score(experiment, place)
    result = experiment_result(experiment, place, resamples=1)
    return {
        row["name"]: {group: figure["mean"] for group, figure in row["figures"].items()}
        for row in result["rows"]
    }


def _harmless(
    rows: Sequence[Row | Method],
    figures: Mapping[str, Mapping[str, float]],
    clean_loss: float,
) -> list[Row | Method]:
    """The settings that spare clean objects."""
    lowest = figures[SINGLE.name]["clean"] - clean_loss
    return [row for row in rows if figures[row.name]["clean"] >= lowest]


def _best(
    rows: Sequence[Row | Method],
    figures: Mapping[str, Mapping[str, float]],
    clean_loss: float = CLEAN_LOSS,
) -> TrainingFreeRecipe:
    allowed = _harmless(rows, figures, clean_loss) or rows
    best: Any = max(allowed, key=lambda row: figures[row.name]["all"])
    return best.temporal
