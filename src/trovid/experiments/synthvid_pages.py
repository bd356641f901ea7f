"""The SynthVID report as JSON, Markdown and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trovid.files import replacing

MAIN_GROUPS = ("all", "clean", "deteriorated")


def write_report(result: dict[str, Any], folder: Path) -> str:
    """Writes report.json, report.md and report.png into `folder`; returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown = report_markdown(result)
    _write(folder / "report.json", json.dumps(result, indent=1) + "\n")
    _write(folder / "report.md", markdown)
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
        f"{model}: " + ", ".join(f"{own['iou']:g} and {own['patience']}" for own in seeds.values())
        for model, seeds in result["track_settings"].items()
    )
    kinds = [name for name in objects if name not in MAIN_GROUPS]
    lines = [
        "# SynthVID: four detectors, gains and controls",
        "",
        f"{data['name']} {data['version']}, split {data['split']}, strength {data['strength']}: "
        f"{result['clips']} clips, frames 0, {result['every']}, {2 * result['every']}, ... of "
        f"each, {result['frames']} frames, "
        f"{objects['all']} objects ({objects['clean']} clean, {objects['deteriorated']} "
        f"deteriorated). Training seeds {seeds}. Commit {result['commit']}, {result['machine']}.",
        "",
        "AP50 in per cent (COCO, 101 points): mean over training seeds and, after ±, their "
        "standard deviation. For a group the other objects are ignored; false positives anywhere "
        "count.",
        "",
        *_table(
            ["model", *MAIN_GROUPS],
            [
                [name, *(_figure(groups[group]) for group in MAIN_GROUPS)]
                for name, groups in result["models"].items()
            ],
        ),
        "",
        "## Gains",
        "",
        "Difference of the means over seeds, with the 95 % interval of a paired bootstrap over "
        f"clips ({result['resamples']} resamples).",
        "",
        *_table(
            ["model", "over", *MAIN_GROUPS],
            [
                [gain["model"], gain["over"], *(_gain(gain[group]) for group in MAIN_GROUPS)]
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
        *_table(
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


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]


def _figure(figure: dict[str, Any]) -> str:
    spread = "" if figure["spread"] is None else f" ± {100 * figure['spread']:.1f}"
    return f"{100 * figure['mean']:.1f}{spread}"


def _gain(gain: dict[str, float]) -> str:
    return f"{100 * gain['value']:+.1f} [{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]"


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


def _write(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text)
