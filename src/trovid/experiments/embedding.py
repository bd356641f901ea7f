"""From an experiment to the weights that come with the package, each with a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trovid.experiments.synthvid_jobs import MODELS
from trovid.experiments.synthvid_pages import MAIN_GROUPS
from trovid.files import replacing
from trovid.training.run import weights_file
from trovid.zoo.weights import embedded_folder, load_weights, save_weights

CARD = """# {name}

{title}. Classes: {classes}.

| | |
|---|---|
| recipe | `{recipe}`, start `{start}` |
| training | seed {seed}, {steps} steps of {targets} targets after the start, {minutes} minutes |
| computed in | {precision} |
| machine | {machine}, torch {torch} |
| commit, finished | {commit}, {finished} |
| data | {data} |
| file | float16 safetensors, {size:.1f} MiB |
| AP50 of these weights (%) | {figures} |
| licence | Apache-2.0 |

The figures are COCO AP50 of seed {seed} on {clips} test clips of SynthVID from clip {first} on, one
frame in {every}; the report of all seeds, with gains and controls, is
docs/results/synthvid/report.md. Made by `trovid experiment synthvid --embed`.
"""
TITLES = {
    "synthvid-single": "Single-frame Faster R-CNN",
    "synthvid-single-troi": "Faster R-CNN with Temporal RoI Align",
    "synthvid-selsa": "SELSA",
    "synthvid-selsa-troi": "SELSA with Temporal RoI Align",
}


def embed_weights(out: Path, result: dict[str, Any], *, folder: Path | None = None) -> list[Path]:
    """Puts the weights of the first seed, their figures and a card beside them into the package.

    Args:
        out: Folder of the trainings.
        result: The experiment's report.
        folder: Where to; by default where `trovid.load` looks for embedded models.

    Returns:
        The weights files.
    """
    folder = folder or embedded_folder()
    folder.mkdir(parents=True, exist_ok=True)
    seed = result["seeds"][0]
    written = []
    for name in MODELS:
        detector, card = load_weights(weights_file(out, name, seed))
        figures = {g: result["models"][name][g]["seeds"][0] for g in MAIN_GROUPS}
        first = result["data"].get("first", 0)
        facts: dict[str, Any] = {
            "precision": "unknown",
            **card.facts,
            "test_ap50": figures,
            "test_clips": result["clips"],
            "test_first_clip": first,
        }
        path = folder / f"{name}.safetensors"
        save_weights(path, detector, card.recipe, facts=facts)
        training = card.recipe.training
        text = CARD.format(
            **{**facts, "data": _data(facts["data"])},
            name=name,
            title=TITLES[name],
            classes=", ".join(card.recipe.model.classes),
            recipe=name,
            start=training.start,
            steps=training.steps,
            targets=training.batch * (1 + training.support_frames * training.mutual_support),
            size=path.stat().st_size / 2**20,
            figures=", ".join(f"{g} {100 * value:.1f}" for g, value in figures.items()),
            clips=result["clips"],
            first=first,
            every=result["every"],
        )
        with replacing(path.with_suffix(".md")) as partial:
            partial.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _data(info: dict[str, Any]) -> str:
    return f"{info['name']} {info['version']}, split {info['split']}"
