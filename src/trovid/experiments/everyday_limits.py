"""What limits the everyday models: pictures set aside, proposals under damage, points.

Nothing here is read on the test pictures or on the sequences that are reported.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset
from trovid.datasets.reading import read_split
from trovid.errors import TrovidError
from trovid.experiments.conditions import CLEAN, Condition
from trovid.experiments.davis_sequences import CHOOSING, of_classes
from trovid.experiments.everyday import CHOICE, read_choice
from trovid.experiments.everyday_jobs import EverydayPlace
from trovid.experiments.everyday_limits_pages import write_limits
from trovid.experiments.everyday_methods import SINGLE, TEMPORAL
from trovid.experiments.everyday_pictures import (
    ceilings,
    fates_of,
    look_at_pictures,
    pooled,
    precision_of,
    proposal_recall,
)
from trovid.experiments.everyday_points import measure_points
from trovid.experiments.everyday_proposals import EVERY, measure_proposals
from trovid.experiments.everyday_run import divided_stills
from trovid.experiments.markdown import written
from trovid.inference.loading import load
from trovid.progress import bar
from trovid.storage.hashes import sha256_of
from trovid.training.provenance import report_origin
from trovid.training.run import weights_file
from trovid.zoo.weights import embedded_models


def model_file(place: EverydayPlace, name: str) -> Path:
    """The weights of a model: those trained in the place, else those that come with trovid."""
    file = weights_file(place.out, name, place.seed)
    return file if file.exists() else embedded_models()[name]


def measured_pictures(weights: Path, dataset: Dataset) -> dict[str, Any]:
    """A model on labelled pictures, and what limits it."""
    predictor = load(weights, device="cpu")
    with bar(predictor.name, unit="pictures") as tick:
        found, seen = look_at_pictures(predictor, dataset, tick)
    pool = pooled(predictor, dataset, found)
    proposals = [seen[pool.clip_names[number]] for number in pool.clips]
    return {
        **precision_of(pool),
        "ceilings": ceilings(predictor, dataset, found),
        "proposals": {
            "a picture": sum(map(len, proposals)) / len(proposals),
            "recall": proposal_recall(pool, proposals),
        },
        "fates": fates_of(pool, proposals),
    }


def run_limits(
    place: EverydayPlace,
    *,
    stills: Path | None,
    davis: bool,
    resamples: int = 1000,
    folder: Path,
    pictures: Path | None = None,
    names: Sequence[str] = CHOOSING,
) -> tuple[dict[str, Any], str]:
    """All that is not there yet, and the report; returns its JSON and its page.

    The report is written after each part, with what is there by then.

    Args:
        place: Where and how; models that are not in it are those that come with trovid.
        stills: Folder of the pictures, of whose train.json some are set aside.
        davis: Whether the sequences for choosing are measured, with the strengths in the folder.
        resamples: Of the bootstrap over sequences.
        folder: Of the report.
        pictures: Folder for pictures of where points fall, which are made anew then.
        names: The sequences.

    Raises:
        TrovidError: If there is nothing to do, or strengths or sequences are missing.
    """
    if stills is None and not davis:
        raise TrovidError(
            "give the folder of DAVIS 2016 (`data`), that of the pictures (`stills`), or both"
        )
    began = time.monotonic()
    files = {name: model_file(place, name) for name in (SINGLE, TEMPORAL)}
    weights = {name: sha256_of(file) for name, file in files.items()}
    result: dict[str, Any] = {"weights": weights}
    parts: list[tuple[str, str, Any, Callable[[], dict[str, Any]]]] = []
    if stills is not None:
        aside = read_split(divided_stills(stills, place.out), "val")
        shown = [video.name for video in aside.videos]
        result["set_aside"] = len(shown)
        parts += [
            ("pictures", name, [weights[name], shown], partial(measured_pictures, file, aside))
            for name, file in files.items()
        ]
    if davis:
        strengths = _strengths(folder)
        result["strengths"] = strengths
        conditions = [CLEAN, *(Condition(kind, value) for kind, value in strengths.items())]
        sequences = place.dataset()
        missing = [name for name in names if name not in sequences]
        if missing:
            raise TrovidError(
                f"{place.davis}: has no sequence {missing[0]!r}; give the folder of DAVIS 2016"
            )
        said = [weights, strengths, list(names), resamples, EVERY]
        known, drawn = of_classes(list(names)), {"resamples": resamples}
        proposals = partial(measure_proposals, files[SINGLE], sequences, conditions, known, **drawn)
        points = partial(
            measure_points, files[TEMPORAL], sequences, conditions, names, pictures, **drawn
        )
        parts[1:1] = [("videos", "proposals", said, proposals), ("videos", "points", said, points)]
    page = ""
    for group, name, said, measure in parts:
        anew = name == "points" and pictures is not None
        found = _kept(place, f"{group}-{name}", said, measure, anew=anew)
        result.setdefault(group, {})[name] = found
        result |= report_origin(began=began)
        page = write_limits(result, folder)
    return result, page


def _strengths(folder: Path) -> dict[str, float]:
    file = folder / CHOICE
    if not file.exists():
        raise TrovidError(f"{file} is not there: run `everyday` on DAVIS 2016 first")
    return read_choice(file).strengths


def _kept(
    place: EverydayPlace,
    name: str,
    said: Any,
    measure: Callable[[], dict[str, Any]],
    *,
    anew: bool = False,
) -> dict[str, Any]:
    """A part of the report, measured where it was not measured yet in the same way."""
    file = place.out / "everyday" / f"limits-{name}.json"
    if file.exists() and not anew:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["of"] == said:
            return kept["result"]
    found = measure()
    file.parent.mkdir(parents=True, exist_ok=True)
    written(file, json.dumps({"of": said, "result": found}) + "\n")
    return found
