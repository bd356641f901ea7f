"""The SynthVID report as JSON, Markdown and a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trovid.experiments.markdown import figure_text, gain_text, origin_text, table, written
from trovid.files import replacing

MAIN_GROUPS = ("all", "clean", "deteriorated")
READ_CLIPS = 300
"""Test clips that were read while the detectors and the experiment were made."""


def write_report(result: dict[str, Any], folder: Path) -> str:
    """Writes report.json, report.md and report.png into `folder`; returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown = report_markdown(result)
    written(folder / "report.json", json.dumps(result, indent=1) + "\n")
    written(folder / "report.md", markdown)
    _plot(result, folder / "report.png")
    return markdown


def report_markdown(result: dict[str, Any]) -> str:
    """The report as a page of tables, in per cent."""
    data, seeds = result["data"], ", ".join(map(str, result["seeds"]))
    objects = result["objects"]
    exponents = ", ".join(
        f"seed {seed}: {value:g}" for seed, value in result["prior_exponents"].items()
    )
    tracks = "; ".join(
        f"{model}: "
        + ", ".join(
            f"{settings['iou']:g} and {settings['patience']}" for settings in seeds.values()
        )
        for model, seeds in result["track_settings"].items()
    )
    kinds = [name for name in objects if name not in MAIN_GROUPS]
    lines = [
        "# SynthVID: four detectors, gains and controls",
        "",
        f"{data['name']} {data['version']}, split {data['split']}, strength {data['strength']}: "
        f"{result['clips']} clips from clip {data.get('first', 0)} on, frames 0, "
        f"{result['every']}, {2 * result['every']}, ... of each, {result['frames']} frames, "
        f"{objects['all']} objects ({objects['clean']} clean, {objects['deteriorated']} "
        f"deteriorated). Training seeds {seeds}. {origin_text(result)}",
        "",
        _choice_of_clips(data.get("first", 0)),
        "",
        *_trainings(result["trainings"]),
        "",
        "AP50 in per cent (COCO, 101 points): mean over training seeds and, after ±, their "
        "standard deviation. For a group the other objects are ignored; false positives anywhere "
        "count.",
        "",
        *table(
            ["model", *MAIN_GROUPS],
            [
                [name, *(figure_text(groups[group]) for group in MAIN_GROUPS)]
                for name, groups in result["models"].items()
            ],
        ),
        "",
        "## Gains",
        "",
        "Difference of the means over seeds, with the 95 % interval of a paired bootstrap over "
        f"clips ({result['resamples']} resamples).",
        "",
        *table(
            ["model", "over", *MAIN_GROUPS],
            [
                [gain["model"], gain["over"], *(gain_text(gain[group]) for group in MAIN_GROUPS)]
                for gain in result["gains"]
            ],
        ),
        "",
        "The class prior multiplies a clip's mean class scores into each box's scores; its "
        f"exponent was chosen on validation clips ({exponents}). Tracks average "
        "class scores along IoU tracks of the whole clip, offline; the IoU that a track needs and "
        f"the evaluated frames that it may miss were chosen on the same clips, seed after seed "
        f"({tracks}).",
        "",
        "## By deterioration, strength and speed",
        "",
        *table(
            ["objects", "number", *result["models"]],
            [
                [kind, str(objects[kind])]
                + [f"{100 * groups[kind]['mean']:.1f}" for groups in result["models"].values()]
                for kind in kinds
            ],
        ),
        "",
    ]
    return "\n".join(lines)


def _choice_of_clips(first: int) -> str:
    """What an interval over these clips is worth."""
    if first < READ_CLIPS:
        return (
            f"Clips 0 to {READ_CLIPS - 1} were read while the detectors were made: figures of "
            "clips among them are no test, and their intervals are too narrow."
        )
    return (
        "The first 100 test clips were read, and 200 were added after their figures had been seen "
        f"(optional stopping), so clips 0 to {READ_CLIPS - 1} are not used; these clips and their "
        "number were fixed before any of them was looked at."
    )


def _trainings(records: Sequence[dict[str, Any]]) -> list[str]:
    """One sentence where all trainings are alike, else a table."""
    seeds: dict[tuple[int, str, str], list[str]] = {}
    for record in records:
        key = record["seed"], record["precision"], record["commit"]
        seeds.setdefault(key, []).append(record["model"])
    kinds = {key[1:] for key in seeds}
    if len(kinds) == 1:
        ((precision, commit),) = kinds
        return [f"All models were trained in {precision}, at commit {commit}."]
    models = len({record["model"] for record in records})
    rows = [
        [str(seed), "all" if len(names) == models else ", ".join(names), precision, commit]
        for (seed, precision, commit), names in seeds.items()
    ]
    return table(["trained with seed", "models", "computed in", "commit"], rows)


def _plot(result: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = list(result["models"])
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    places = range(len(names))
    for shift, group in zip((-0.27, 0.0, 0.27), MAIN_GROUPS, strict=True):
        figures = [result["models"][name][group] for name in names]
        axes.barh(
            [place + shift for place in places],
            [100 * f["mean"] for f in figures],
            xerr=[100 * (f["spread"] or 0.0) for f in figures],
            height=0.25,
            label=group,
        )
    axes.set_yticks(list(places), names)
    axes.invert_yaxis()
    axes.set_xlabel("AP50 (%), mean and deviation over training seeds")
    axes.set_xlim(0, 100)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(title="objects", loc="outside right upper")
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110)
    plt.close(figure)
