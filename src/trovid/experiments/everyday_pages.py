"""The everyday experiment's report as a page and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trovid.experiments.everyday import PRECISION, SHOWN
from trovid.experiments.markdown import gain_text, origin_text, table, written
from trovid.files import replacing

NAME = "everyday"
MAIN = ("clean", "target frames alone", "stretches")


def write_everyday(result: dict[str, Any], folder: Path, *, name: str = NAME) -> str:
    """Writes NAME.json, NAME.md and, with sequences, NAME.png; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = everyday_page(result)
    written(folder / f"{name}.json", json.dumps(result, indent=1) + "\n")
    written(folder / f"{name}.md", page)
    if "davis" in result:
        _plot(result["davis"], folder / f"{name}.png")
    return page


def everyday_page(result: dict[str, Any]) -> str:
    """The report as a page of tables, in per cent."""
    lines = ["# Everyday things in pictures and in real videos", ""]
    lines += [origin_text(result), ""]
    if "stills" in result:
        lines += _stills(result["stills"])
    if "davis" in result:
        lines += _davis(result["davis"])
    return "\n".join(lines)


def _stills(stills: dict[str, Any]) -> list[str]:
    classes = sorted(stills["per_class"].items(), key=lambda pair: -(pair[1] or 0))
    return [
        "## Pictures",
        "",
        f"{stills['model']} on {stills['pictures']} test pictures, read once: AP50 "
        f"**{100 * stills['AP50']:.1f}**, AP75 {100 * stills['AP75']:.1f}, "
        f"AP {100 * stills['AP']:.1f}; "
        + ", ".join(f"{size} {_percent(value)}" for size, value in stills["sizes"].items())
        + ". The test is a mixture of public pictures and nobody's standard benchmark.",
        "",
        *table(["class", "AP50"], [[name, _percent(value)] for name, value in classes]),
        "",
    ]


def _davis(davis: dict[str, Any]) -> list[str]:
    figures, groups = davis["ap50"], davis["groups"]
    strengths = ", ".join(f"{k} {v:g}" for k, v in davis["choice"]["strengths"].items())
    kinds = [group for group in groups if group not in MAIN]
    cost = davis["choice"].get("cost", "")
    return [
        "## Real videos",
        "",
        f"{len(davis['sequences'])} sequences of {davis['data']} that nothing was chosen on, their "
        "labelled object each, all in one pool: AP50 (IoU 0.5, any class of the object's group); "
        "unlabelled people, cars and boats in the background are ignored where they are known to "
        f"stand, all else is wrong. 95 % intervals over {davis['folds']} sequences (near "
        f"duplicates are one), {davis['resamples']} resamples. Strengths, fixed by single-frame "
        f"results on other sequences: {strengths}. Deteriorations are added to every fourth "
        "frame, which alone is evaluated, or to stretches of 8 frames, support frames included."
        + (f" The training-free setting: {cost}" if cost else ""),
        "",
        *table(
            ["AP50", *MAIN],
            [[name, *(_interval(row[group]) for group in MAIN)] for name, row in figures.items()],
        ),
        "",
        *table(
            ["gain", "over", *MAIN],
            [
                [gain["row"], gain["over"], *(gain_text(gain[group]) for group in MAIN)]
                for gain in davis["gains"]
            ],
        ),
        "",
        "### Each deterioration",
        "",
        *table(
            ["AP50", *kinds],
            [
                [name, *(_percent(row[kind]["value"]) for kind in kinds)]
                for name, row in figures.items()
            ],
        ),
        "",
        f"### Recall at precision {PRECISION:g}; share found at score {SHOWN:g}",
        "",
        *table(
            ["", "clean", *kinds],
            [
                [
                    name,
                    *(
                        f"{_percent(row[key]['recall_at_precision'])}; "
                        f"{_percent(row[key]['found'])}"
                        for key in ["clean", *kinds]
                    ),
                ]
                for name, row in davis["figures"].items()
            ],
        ),
        "",
        f"### Along the tracks, at precision {PRECISION:g}",
        "",
        "Frames with the object in which it is not found (%), most evaluated frames in a row, "
        "changes of class per 100 steps.",
        "",
        *table(
            ["", *_followed(davis)],
            [
                [name, *(_track(row[key]["track"]) for key in _followed(davis))]
                for name, row in davis["figures"].items()
            ],
        ),
        "",
        "### Cost",
        "",
        "Milliseconds of one thread, beside whatever else ran: a frame with its support encoded, a "
        "support frame (once a video).",
        "",
        *table(
            ["", "frame", "support frame"],
            [
                [name, f"{1000 * cost['frame']:.0f}", f"{1000 * cost['support_frame']:.0f}"]
                for name, cost in davis["costs"].items()
            ],
        ),
        "",
    ]


def _followed(davis: dict[str, Any]) -> list[str]:
    first = next(iter(davis["figures"].values()))
    return [key for key, figures in first.items() if "track" in figures]


def _track(track: dict[str, Any]) -> str:
    return f"{_percent(track['misses'])}, {track['longest_gap']}, {track['class_changes']:.1f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _interval(interval: dict[str, float]) -> str:
    return (
        f"{100 * interval['value']:.1f} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"
    )


def _plot(davis: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = list(davis["ap50"])
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    for place, group in enumerate(MAIN):
        rows = [davis["ap50"][name][group] for name in names]
        axes.barh(
            [number + 0.27 * (place - 1) for number in range(len(names))],
            [100 * row["value"] for row in rows],
            xerr=[
                [max(0.0, 100 * (row["value"] - row["low"])) for row in rows],
                [max(0.0, 100 * (row["high"] - row["value"])) for row in rows],
            ],
            height=0.25,
            label=group,
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    axes.set_xlabel("AP50 (%) with 95 % intervals over sequences")
    figure.legend(title="deteriorated", loc="outside right upper")
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    plt.close(figure)
