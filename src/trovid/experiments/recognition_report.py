"""`trovid experiment recognition`: chosen on some sequences, reported once on the others."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trovid.errors import TrovidError
from trovid.experiments.davis_sequences import drawn_together, folds_of, sequence_weights
from trovid.experiments.lite0 import Lite0, lite0_file
from trovid.experiments.markdown import gain_text, hashes_text, origin_text, table, written
from trovid.experiments.pictures import Panel, draw_panels
from trovid.experiments.premise import sequences
from trovid.experiments.recognition import (
    SINGLE,
    SUPPORT,
    TARGETS,
    Setting,
)
from trovid.experiments.recognition_classes import CHOOSING, REPORTING, SEQUENCES, sequences_of
from trovid.experiments.recognition_damage import CLEAN, STRENGTHS, damages
from trovid.experiments.recognition_shares import Shares, measured_shares
from trovid.experiments.recognition_training import (
    STEPS,
    Stills,
    embedding_file,
    read_stills,
    trained_embeddings,
)
from trovid.nn.extractors import TemporalRoIAlign
from trovid.storage.hashes import sha256_of
from trovid.training.provenance import report_origin

NAME = "recognition"
TOP_K = range(1, 7)
CLEAN_LOSS = 0.01
"""Of the share on clean frames, that a chosen setting may lose against the single frame."""
KINDS = (("mean", 1.0), ("dot", 0.03), ("dot", 0.1), ("dot", 0.3), ("cosine", 10.0))
"""Attentions without training and their scales."""
UNTRAINED = tuple(Setting(kind, scale, k) for kind, scale in KINDS for k in TOP_K)


@dataclass(frozen=True)
class Choice:
    """What the sequences for choosing decided.

    Attributes:
        damages: One strength of each kind, by single-frame results alone.
        mean: The best plain mean.
        attention: The best attention without training.
    """

    damages: tuple[str, ...]
    mean: Setting
    attention: Setting


def choose(shares: Shares) -> Choice:
    """The damage nearest to halving the single frame's share, and the settings best under it.

    Args:
        shares: Of the sequences for choosing, all damages, all of `UNTRAINED`.
    """
    half = average(shares, CLEAN, SINGLE) / 2
    chosen = []
    for kind in STRENGTHS:
        names = [name for name in damages() if name.startswith(kind)]
        chosen.append(min(names, key=lambda name: abs(average(shares, name, SINGLE) - half)))
    lowest = average(shares, CLEAN, SINGLE) - CLEAN_LOSS

    def worth(setting: Setting) -> tuple[bool, float]:
        allowed = average(shares, CLEAN, setting.name) >= lowest
        return allowed, float(np.mean([average(shares, d, setting.name) for d in chosen]))

    means = [setting for setting in UNTRAINED if setting.attention == "mean"]
    others = [setting for setting in UNTRAINED if setting.attention != "mean"]
    return Choice(tuple(chosen), max(means, key=worth), max(others, key=worth))


def average(shares: Shares, damage: str, setting: str) -> float:
    """The mean over sequences."""
    return float(np.mean([by_damage[damage][setting] for by_damage in shares.values()]))


def trained_settings(seeds: Sequence[int]) -> list[Setting]:
    """What is trained: each K with each seed."""
    return [Setting("trained", top_k=k, seed=seed) for k in TOP_K for seed in seeds]


def reported_settings(choice: Choice, seeds: Sequence[int]) -> list[Setting]:
    """What is reported: K = 1 to 6 of both chosen kinds and trained, and the controls of each.

    Those of what is trained have the K that was chosen for the attention without training.
    """
    untrained = (choice.mean, choice.attention)
    found = [replace(best, top_k=k) for best in untrained for k in TOP_K]
    found += trained_settings(seeds)
    trained = [Setting("trained", top_k=choice.attention.top_k, seed=seed) for seed in seeds]
    return found + [
        replace(one, source=source)
        for one in (*untrained, *trained)
        for source in ("itself", "other", "place")
    ]


def run_recognition(
    data: Path,
    *,
    stills: Path | None,
    out: Path,
    folder: Path,
    seeds: Sequence[int] = (0, 1, 2),
    resamples: int = 1000,
    weights: Path | None = None,
    steps: int = STEPS,
    workers: int = 1,
) -> tuple[dict[str, Any], str]:
    """Chooses, trains, measures and reports.

    Args:
        data: DAVIS 2016.
        stills: Labelled pictures to train the embedding on; None: no trained rows.
        out: Folder of the trained embeddings and of what was measured.
        folder: Of the report.
        seeds: Trainings of the embedding with each K.
        resamples: Of the bootstrap over sequences.
        weights: The file of the ImageNet weights; None for the installed package's.
        steps: Of each training.
        workers: Processes that train.

    Raises:
        TrovidError: If there is no sequence to choose on, or none to report on, or the pictures
            cannot be learned from.
    """
    began = time.monotonic()
    everything = {sequence.name: sequence for sequence in sequences(data)}
    choosing, reporting = (sequences_of(everything, names) for names in (CHOOSING, REPORTING))
    if not choosing or not reporting:
        raise TrovidError(
            f"{data} needs sequences to choose on ({', '.join(CHOOSING)}) and to report on "
            f"({', '.join(REPORTING)})"
        )
    pictures = None if stills is None else read_stills(stills)
    network_file = weights or lite0_file()
    network = Lite0(network_file)
    measured = partial(measured_shares, network, everything, folder=out / NAME)
    hashes = {network_file.name: sha256_of(network_file)}
    looked = measured(choosing, [CLEAN, *damages()], UNTRAINED, {}, weights=hashes)
    choice = choose(looked)
    trained: dict[Setting, TemporalRoIAlign] = {}
    if pictures is not None:
        wanted = trained_settings(seeds)
        keys = [(setting.top_k, setting.seed) for setting in wanted]
        found = trained_embeddings(
            network_file, pictures, keys, folder=out, steps=steps, workers=workers
        )
        trained = dict(zip(wanted, found, strict=True))
        files = [embedding_file(out, seed=seed, top_k=k, steps=steps) for k, seed in keys]
        hashes |= {file.name: sha256_of(file) for file in files}
    settings = reported_settings(choice, seeds if trained else ())
    kinds = [CLEAN, *choice.damages]
    shares = measured(reporting, kinds, settings, trained, weights=hashes)
    result = {
        "experiment": NAME,
        "choosing": choosing,
        "reporting": reporting,
        "folds": len(set(folds_of(reporting))),
        "groups": {name: SEQUENCES[name] for name in (*choosing, *reporting)},
        "chosen": {"damages": choice.damages}
        | {"mean": asdict(choice.mean), "attention": asdict(choice.attention)},
        "looked at": {
            name: {damage: average(looked, damage, name) for damage in (CLEAN, *damages())}
            for name in (SINGLE, *(setting.name for setting in UNTRAINED))
        },
        "shares": _intervals(shares, resamples),
        "resamples": resamples,
        "steps": steps,
        "seeds": list(seeds) if trained else [],
        **({} if pictures is None else _account(pictures)),
        **report_origin(began=began),
        "weights": hashes,
    }
    page = recognition_page(result, choice)
    folder.mkdir(parents=True, exist_ok=True)
    written(folder / f"{NAME}.json", json.dumps(result, indent=1) + "\n")
    written(folder / f"{NAME}.md", page)
    draw_recognition(result, choice, folder / f"{NAME}.png")
    return result, page


def _account(stills: Stills) -> dict[str, Any]:
    """What was learned from."""
    return {"stills": {"pictures": len(stills.pictures), "objects": len(stills.objects)}}


def _intervals(shares: Shares, resamples: int) -> dict[str, dict[str, dict[str, float]]]:
    """By setting and damage: the share, its interval, and the gain over the single frame."""
    drawn = sequence_weights(shares, resamples=resamples)
    drawn /= drawn.sum(1, keepdims=True)
    first = next(iter(shares.values()))

    def column(damage: str, name: str) -> np.ndarray:
        if damage == "damaged":
            columns = [column(kind, name) for kind in first if kind != CLEAN]
            return np.mean(columns, axis=0)
        return np.array([by_damage[damage][name] for by_damage in shares.values()])

    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in first[CLEAN]:
        found[name] = {}
        for damage in (*first, "damaged"):
            values, single = column(damage, name), column(damage, SINGLE)
            low, high = np.quantile(drawn @ values, [0.025, 0.975])
            worst, best = np.quantile(drawn @ (values - single), [0.025, 0.975])
            found[name][damage] = {
                "value": float(values.mean()),
                "low": float(low),
                "high": float(high),
                "gain": float((values - single).mean()),
                "gain_low": float(worst),
                "gain_high": float(best),
            }
    return found


def _stills(result: dict[str, Any]) -> str:
    if "stills" not in result:
        return "stills"
    of = result["stills"]
    return f"{of['pictures']} pictures with {of['objects']} objects of its classes"


def recognition_page(result: dict[str, Any], choice: Choice) -> str:
    """The report as a page."""
    kinds = [CLEAN, *choice.damages]
    shares = result["shares"]
    rows = []
    for name, by_damage in shares.items():
        gain = by_damage["damaged"]
        over = {"value": gain["gain"], "low": gain["gain_low"], "high": gain["gain_high"]}
        text = "" if name == SINGLE else gain_text(over)
        rows.append(
            [name, *(f"{by_damage[kind]['value']:.2f}" for kind in (*kinds, "damaged")), text]
        )
    looked = [
        [name, *(f"{by_damage[kind]:.2f}" for kind in kinds)]
        for name, by_damage in result["looked at"].items()
    ]
    lines = [
        "# Damaged objects of real frames: recognised with the other frames?",
        "",
        f"DAVIS 2016, {TARGETS} target frames a sequence, up to {SUPPORT} support frames uniformly "
        "from the others, the target frame alone damaged; the object's labelled box, maps of "
        "stride 16 of EfficientNet-Lite0 with ImageNet weights, its own last stages and classifier "
        "as the head. The share of boxes whose first class belongs to the sequence's group "
        "(`experiments/recognition_classes.py`), mean over sequences; intervals are of a paired "
        f"bootstrap over sequences ({result['resamples']} resamples). "
        f"{drawn_together(result.get('folds'), result['reporting'])}",
        "",
        f"Strengths (single-frame share nearest to half of the clean one) and settings (best under "
        f"these, clean at most {CLEAN_LOSS:g} below the single frame) were chosen on "
        f"{len(result['choosing'])} sequences and are reported here on {len(result['reporting'])} "
        "others: " + ", ".join(result["reporting"]) + ". An earlier trial had seen most of them. "
        "ImageNet has no class for people, and none for a rhinoceros: their sequences (rhino among "
        "them) are left out. "
        f"Chosen: {choice.mean.name}; {choice.attention.name}.",
        "",
        *table(
            ["share recognised", *kinds, "all damaged", "gain over the single frame, points"], rows
        ),
        "",
        f"Trained: the embedding psi alone, on clips made from {_stills(result)} "
        f"({result['steps']} steps of 4), everything else frozen."
        if result["seeds"]
        else "Trained rows need labelled pictures (`stills`).",
        "",
        f"What was looked at to choose, on {', '.join(result['choosing'])}:",
        "",
        *table(["share recognised", *kinds], looked),
        "",
        f"{origin_text(result)} {hashes_text(result)}",
        "",
    ]
    return "\n".join(lines)


def draw_recognition(result: dict[str, Any], choice: Choice, path: Path) -> None:
    """The shares over K of both chosen kinds and of what was trained, damaged and clean."""
    shares = result["shares"]
    kinds = {
        setting.name.partition(", K")[0]: [replace(setting, top_k=k).name for k in TOP_K]
        for setting in (choice.mean, choice.attention)
    }
    for seed in result["seeds"]:
        names = [Setting("trained", top_k=k, seed=seed).name for k in TOP_K]
        kinds[f"trained, seed {seed}"] = names
    panels = [
        Panel(
            axis=f"K ({words})",
            places=TOP_K,
            curves={SINGLE: [shares[SINGLE][damage]] * len(TOP_K)}
            | {
                kind: [shares[name][damage] if name in shares else None for name in names]
                for kind, names in kinds.items()
            },
        )
        for damage, words in (("damaged", "all damaged"), (CLEAN, "clean"))
    ]
    title = "DAVIS 2016: are damaged objects recognised with the other frames?"
    draw_panels(path, title, panels, measure="boxes recognised")
