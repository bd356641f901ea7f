"""From an experiment to the weights that come with the package, each with a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trovid.experiments.mask_runs import MODELS as MASK_MODELS
from trovid.experiments.synthvid_jobs import MODELS
from trovid.experiments.synthvid_pages import MAIN_GROUPS
from trovid.files import replacing
from trovid.training.run import weights_file
from trovid.zoo.weights import (
    ModelCard,
    embedded_folder,
    load_weights,
    read_card,
    save_weights,
)

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
| {measure} of these weights (%) | {figures} |
| licence | Apache-2.0 |

{about}
"""
ABOUT = """The figures are COCO AP50 of seed {seed} on
{clips} test clips of SynthVID from clip {first} on, one frame in {every};
the report of three trainings, with gains and controls, is docs/results/synthvid/report.md.
Made by `trovid experiment synthvid --embed`."""
ABOUT_MASKS = """The figures are AP of tracks (YouTube-VIS) of seed {seed} on {clips} test clips of
SynthVID from clip {first} on, one frame in {every}. Its masks are amodal: `visible AP` is that of
the parts that can be seen. The report of all seeds, with gains, controls and identities, is
docs/results/synthvid/masks.md. Made by `trovid experiment synthvid-masks --embed`."""
TITLES = {
    "synthvid-single": "Single-frame Faster R-CNN",
    "synthvid-single-troi": "Faster R-CNN with Temporal RoI Align",
    "synthvid-selsa": "SELSA",
    "synthvid-selsa-troi": "SELSA with Temporal RoI Align",
    "synthvid-masktrack": "MaskTrack R-CNN",
    "everyday-start": "Single-frame Faster R-CNN on EfficientNet-Lite0, from single views",
    "everyday-single": "Single-frame Faster R-CNN on EfficientNet-Lite0",
    "everyday-selsa-troi": "SELSA with Temporal RoI Align on EfficientNet-Lite0",
    "synthvid-masktrack-troi": "MaskTrack R-CNN with Temporal RoI Align",
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
    seed = result["seeds"][0]
    first, clips = result["data"].get("first", 0), result["clips"]
    about = ABOUT.format(seed=seed, clips=clips, first=first, every=result["every"])
    written = []
    for name in MODELS:
        figures = {g: result["models"][name][g]["seeds"][0] for g in MAIN_GROUPS}
        provenance = {"test_ap50": figures, "test_clips": clips, "test_first_clip": first}
        written.append(_embed(out, name, seed, provenance, "AP50", figures, about, folder))
    return written


def embed_masks(out: Path, result: dict[str, Any], *, folder: Path | None = None) -> list[Path]:
    """The same for the experiment on masks; see `embed_weights`."""
    seed, report = result["seeds"][0], result["classes"]
    first, clips = report["first"], report["clips"]
    about = ABOUT_MASKS.format(seed=seed, clips=clips, first=first, every=report["every"])
    written = []
    for name in MASK_MODELS:
        figures = {g: report["models"][name][g]["seeds"][0] for g in ("AP", "AP50", "visible AP")}
        provenance = {"test_track_ap": figures, "test_clips": clips, "test_first_clip": first}
        written.append(_embed(out, name, seed, provenance, "AP of tracks", figures, about, folder))
    return written


EVERYDAY_CARD = """# {name}

{title}. Classes: {classes}.

| | |
|---|---|
| recipe | `{recipe}`, start `{start}`; the trunk of both everyday models is the same |
| training of the start | {before} |
| training after it | seed {seed}, {steps} steps of {targets} targets, {minutes} minutes |
| computed in | {precision} |
| machine | {machine}, torch {torch} |
| commit, finished | {commit}, {finished} |
| data | pictures alone (VOC, COCO), clips made of them; no video |
| file | float16 safetensors, {size:.1f} MiB{shared} |
| AP50 of these weights (%) | {figures} |
| licence | Apache-2.0 |

{about}
"""
ABOUT_EVERYDAY = """The pictures' test is a mixture of public ones and nobody's standard benchmark;
the sequences are DAVIS 2016's that nothing was chosen on, one labelled object each. The whole
report with intervals and controls is docs/results/everyday/everyday.md. Made by
`trovid experiment everyday --embed`."""
ABOUT_PICTURES = """The pictures set aside are 500 of the training set, a mixture of public ones and
nobody's standard benchmark; settings were chosen on them. Deteriorated videos are not yet
measured."""


def embed_everyday(
    out: Path,
    result: dict[str, Any],
    *,
    single: str = "everyday-single",
    seed: int = 0,
    folder: Path | None = None,
) -> list[Path]:
    """The two everyday models; the single-frame one shares the trunk of the other's file.

    Args:
        out: Folder of the trainings.
        result: The experiment's report.
        single: Name of the single-frame one.
        seed: Of the trainings.
        folder: Where to; by default where `trovid.load` looks for embedded models.

    Returns:
        The weights files.
    """
    folder = folder or embedded_folder()
    folder.mkdir(parents=True, exist_ok=True)
    whole: Path | None = None
    written = []
    for name, row in (
        ("everyday-selsa-troi", "Temporal RoI Align, trained"),
        (single, "single-frame"),
    ):
        detector, card = load_weights(weights_file(out, name, seed))
        tested = {}
        if "stills" in result and name == single:
            tested["test pictures"] = result["stills"]["AP50"]
        if "davis" in result:
            groups = ("clean", "target frames alone", "stretches")
            tested |= {g: result["davis"]["ap50"][row][g]["value"] for g in groups}
        provenance: dict[str, Any] = {"precision": "unknown", **card.provenance}
        figures = tested
        if tested:
            provenance["test_ap50"] = tested
        elif "val_ap50" in provenance:
            figures = {"pictures set aside": provenance["val_ap50"]}
        path = folder / f"{name}.safetensors"
        save_weights(path, detector, card.recipe, provenance=provenance, shared=whole)
        text = EVERYDAY_CARD.format(
            **provenance,
            **_words(name, card, path, figures),
            before=_before(out, card, seed),
            shared="" if whole is None else f", which shares the trunk in {whole.name}",
            about=ABOUT_EVERYDAY if "davis" in result else ABOUT_PICTURES,
        )
        with replacing(path.with_suffix(".md")) as partial:
            partial.write_text(text, encoding="utf-8")
        whole = whole or path
        written.append(path)
    return written


def _before(out: Path, card: ModelCard, seed: int) -> str:
    """How the weights were made that a training began with, in words."""
    name = card.recipe.training.start
    file = None if name is None else weights_file(out, name, seed)
    if file is None or not file.exists():
        return "its weights are not at hand"
    start = read_card(file)
    provenance, training = start.provenance, start.recipe.training
    words = [
        f"seed {provenance['seed']}, {training.steps} steps of {training.batch} pictures",
        f"{provenance['minutes']} minutes, commit {provenance['commit']}, {provenance['finished']}",
    ]
    if "backbone" in provenance:
        source, digest = provenance["backbone"]["source"], provenance["backbone"]["sha256"]
        words.append(f"from ImageNet's `{source}` (sha256 {digest[:16]})")
    return ", ".join(words)


def _embed(
    out: Path,
    name: str,
    seed: int,
    measured: dict[str, Any],
    measure: str,
    figures: dict[str, float],
    about: str,
    folder: Path | None,
) -> Path:
    folder = folder or embedded_folder()
    folder.mkdir(parents=True, exist_ok=True)
    detector, card = load_weights(weights_file(out, name, seed))
    provenance: dict[str, Any] = {"precision": "unknown", **card.provenance, **measured}
    path = folder / f"{name}.safetensors"
    save_weights(path, detector, card.recipe, provenance=provenance)
    text = CARD.format(
        **{**provenance, "data": _data(provenance["data"])},
        **_words(name, card, path, figures),
        measure=measure,
        about=about,
    )
    with replacing(path.with_suffix(".md")) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def _words(name: str, card: ModelCard, path: Path, figures: dict[str, float]) -> dict[str, Any]:
    """What every page on a model says of its recipe, file and figures."""
    training = card.recipe.training
    return {
        "name": name,
        "title": TITLES[name],
        "classes": ", ".join(card.recipe.model.classes),
        "recipe": name,
        "start": training.start or "ImageNet's weights",
        "steps": training.steps,
        "targets": training.batch * (1 + training.support_frames * training.mutual_support),
        "size": path.stat().st_size / 2**20,
        "figures": ", ".join(f"{g} {100 * value:.1f}" for g, value in figures.items()) or "-",
    }


def _data(info: dict[str, Any]) -> str:
    return f"{info['name']} {info['version']}, split {info['split']}"
