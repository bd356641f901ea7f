"""An experiment's report as JSON, Markdown and a picture."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from trovid.experiments.findings import findings
from trovid.experiments.markdown import figure_text, gain_text, origin_text, table, written
from trovid.files import replacing

GROUPS = ("all", "clean", "deteriorated")
FIXED = "their number was fixed before the first look"


def write_experiment(result: dict[str, Any], folder: Path) -> str:
    """Writes NAME.json, NAME.md and NAME.png into `folder`; returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    name = result["experiment"]
    page = experiment_page(result)
    written(folder / f"{name}.json", json.dumps(result, indent=1) + "\n")
    written(folder / f"{name}.md", page)
    draw = _curves if any(row["x"] is not None for row in result["rows"]) else _bars
    _plot(result, folder / f"{name}.png", draw)
    return page


def experiment_page(result: dict[str, Any]) -> str:
    """The report as a page of tables, in per cent."""
    rows = result["rows"]
    groups = [group for group in GROUPS if group in rows[0]["figures"]]
    seeds = ", ".join(map(str, result["seeds"]))
    spread = ": mean over seeds ± their standard deviation" if _several(result) else ""
    lines = [
        f"# {result['title']}",
        "",
        *(_data(dataset) for dataset in result["data"]),
        "",
        (
            f"Training seeds {seeds}, the same data, schedule and seeds for all rows."
            if result["trained"]
            else f"The weights that come with trovid, all of one seed ({seeds}), the same data and "
            "schedule for all rows: intervals tell what other clips would change, not what other "
            "trainings would."
        )
        + f" {origin_text(result)}",
        *(line for text in (*result["notes"], *findings(result)) for line in ("", text)),
        "",
        f"AP50 in per cent (COCO, 101 points){spread}; for a group the other objects are ignored. "
        "The paper's figure is of ImageNet VID, with ResNet-101.",
        "",
        *table(
            ["row", *groups, "paper"],
            [
                [
                    row["name"],
                    *(figure_text(row["figures"][group]) for group in groups),
                    "-" if row["published"] is None else f"{row['published']:.1f}",
                ]
                for row in rows
            ],
        ),
        "",
        *_gains(result, groups),
        *_order(result),
        "## Cost",
        "",
        "A frame with its support frames encoded, a support frame, and memory above the loaded "
        "program, each row in a process of its own on one thread; operations by the equations as "
        f"written.{_sequences(rows)}{_in_turns(rows)}",
        "",
        *table(
            ["row", "ms a frame", "ms a support frame", "MB", "GFLOP a frame", *_times_known(rows)],
            [[row["name"], *_cost(row), *_times(row, rows)] for row in rows],
        ),
        "",
        *_training(rows),
        "",
        "## Weights",
        "",
        *table(
            ["recipe", "seed", "computed in", "commit", *_noted(rows), "SHA-256"],
            sorted({tuple(cells) for row in rows for cells in _weights(row, _noted(rows))}),
        ),
        "",
    ]
    return "\n".join(lines)


def _data(dataset: dict[str, Any]) -> str:
    objects = dataset["objects"]
    kinds = ", ".join(f"{objects[g]} {g}" for g in GROUPS[1:] if g in objects)
    return (
        f"{dataset['clips']}: {dataset['videos']} videos, one frame in {dataset['every']}: "
        f"{dataset['frames']} frames, {objects['all']} objects{f' ({kinds})' if kinds else ''}. "
    )


def _gains(result: dict[str, Any], groups: list[str]) -> list[str]:
    if not result["gains"]:
        return []
    published = {row["name"]: row["published"] for row in result["rows"]}
    rows = []
    for gain in result["gains"]:
        both = published[gain["row"]], published[gain["over"]]
        paper = "-" if None in both else f"{both[0] - both[1]:+.1f}"
        rows.append([gain["row"], gain["over"], *(gain_text(gain[g]) for g in groups), paper])
    number = "these are fewer than were fixed: a try" if result["tried"] else FIXED
    return [
        "## Differences",
        "",
        f"Of the {'means over seeds' if _several(result) else 'figures above'}, with the "
        f"95 % interval of a paired bootstrap over videos ({result['resamples']} resamples); "
        f"{number}.",
        "",
        *table(["row", "over", *groups, "paper"], rows),
        "",
    ]


def _order(result: dict[str, Any]) -> list[str]:
    order = result["order"]
    if not order["pairs"]:
        return []
    same = order["pairs"] - len(order["otherwise"])
    words = [
        f"Of the {order['pairs']} pairs of rows that the paper tells apart {same} have its order."
    ]
    words += [f"Not so: {a} is not above {b}." for a, b in order["otherwise"]]
    return [" ".join(words), "", *_otherwise(result)]


def _otherwise(result: dict[str, Any]) -> list[str]:
    """By group and training how far apart those rows are whose order is not the paper's."""
    pairs = [(a, b) for a, b in result["order"]["otherwise"]]
    if not pairs:
        return []
    figures = {row["name"]: row["figures"] for row in result["rows"]}
    gains = [*result["gains"], *result["order"].get("gains", ())]
    known = {(gain["row"], gain["over"]): gain for gain in gains}

    def cell(pair: tuple[str, str], group: str) -> str:
        if pair in known:
            return gain_text(known[pair][group])
        figure, other = (figures[name][group]["mean"] for name in pair)
        return f"{100 * (figure - other):+.1f}"

    def seed(pair: tuple[str, str], number: int) -> str:
        figure, other = (figures[name]["all"]["seeds"][number] for name in pair)
        return f"{100 * (figure - other):+.1f}"

    rows = [[group, *(cell(pair, group) for pair in pairs)] for group in figures[pairs[0][0]]]
    seeds = result["seeds"] if _several(result) else []
    rows[1:1] = [
        [f"all, seed {name}", *(seed(pair, number) for pair in pairs)]
        for number, name in enumerate(seeds)
    ]
    without = "" if known.keys() >= set(pairs) else "; without an interval where none was drawn"
    return [
        f"How far apart these are, by group and training, in points of AP50{without}:",
        "",
        *table(["objects", *(f"{row} over {over}" for row, over in pairs)], rows),
        "",
    ]


def _sequences(rows: list[dict[str, Any]]) -> str:
    """A sentence, where the time of Seq-NMS is in a row's."""
    times = any(row["cost"].get("seq_nms_ms") for row in rows)
    return " With Seq-NMS its share of a whole video is in ms a frame." if times else ""


def _times_known(rows: list[dict[str, Any]]) -> list[str]:
    """The column of what rows cost beside a single frame, where it is known of any."""
    known = any("times_single" in row["cost"] for row in rows)
    return ["times a single frame"] if known else []


def _times(row: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    times = row["cost"].get("times_single")
    return ["-" if times is None else f"{times:.2f}" for _ in _times_known(rows)]


def _in_turns(rows: list[dict[str, Any]]) -> str:
    """A sentence, where rows were timed in turns with single frames."""
    if not _times_known(rows):
        return ""
    return (
        " Times a single frame: median of runs in turns with the same detector without support "
        "frames, which the milliseconds, each measured by itself, need not give."
    )


def _cost(row: dict[str, Any]) -> list[str]:
    cost = row["cost"]
    if not cost:
        return ["-"] * 4
    support = f"{cost['support_frame_ms']:.0f}" if cost["support_frames"] else "-"
    numbers = f"{cost['frame_ms']:.0f}", support, f"{cost['memory_mb']:.0f}"
    return [*numbers, f"{cost['gflop']:.3g}"]


def _training(rows: list[dict[str, Any]]) -> list[str]:
    """What each recipe's trainings cost, of which cards before told the time that passed alone."""
    recipes = {row["recipe"]: row for row in rows}
    return [
        "Training after the start that all share: processor time of the process that trains (mean "
        "over seeds) and the most memory that it held, where the cards say them; the time that "
        "passed is the least of the seeds, since a training that shared its cores or was "
        "interrupted takes longer. GFLOP of a step: three times its forward pass, as is customary.",
        "",
        *table(
            ["recipe", "processor minutes", "minutes", "MB", "GFLOP a step"],
            [[name, *_training_cost(row)] for name, row in recipes.items()],
        ),
    ]


def _training_cost(row: dict[str, Any]) -> list[str]:
    used, passed, memory = (
        [training[name] for training in row["trained"] if training.get(name) is not None]
        for name in ("processor_minutes", "minutes", "memory_mb")
    )
    return [
        f"{sum(used) / len(used):.0f}" if used else "-",
        f"{min(passed):.0f}" if passed else "-",
        f"{max(memory):.0f}" if memory else "-",
        f"{row['step_gflop']:.3g}" if "step_gflop" in row else "-",
    ]


def _noted(rows: list[dict[str, Any]]) -> list[str]:
    """What is said of weights where any of them has it."""
    known = [training for row in rows for training in row["trained"]]
    return [
        name for name in ("finished", "machine") if any(training.get(name) for training in known)
    ]


def _weights(row: dict[str, Any], noted: list[str]) -> list[list[str]]:
    return [
        [
            row["recipe"],
            str(training["seed"]),
            training["precision"],
            training["commit"],
            *((training.get(name) or "unknown").removesuffix("+00:00") for name in noted),
            f"`{training['sha256'][:16]}`",
        ]
        for training in row["trained"]
    ]


def _plot(result: dict[str, Any], path: Path, draw: Any) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = [_wrapped(row["name"]) for row in result["rows"]]
    lines = sum(name.count("\n") + 1 for name in names) if draw is _bars else 0
    panels = _panels(result) if draw is _curves else [""]
    size = 9 if len(panels) == 1 else 6.5 * len(panels), max(5, 1 + 0.3 * lines)
    figure, every = plt.subplots(
        1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for axes, panel in zip(every[0], panels, strict=True):
        draw(result, axes, panel)
        axes.grid(alpha=0.3)
    figure.suptitle(result["title"], fontsize=11)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    plt.close(figure)


def _bars(result: dict[str, Any], axes: Any, _: str) -> None:
    rows = result["rows"]
    groups = [group for group in GROUPS if group in rows[0]["figures"]]
    for place, group in enumerate(groups):
        figures = [row["figures"][group] for row in rows]
        axes.barh(
            [number + 0.27 * (place - (len(groups) - 1) / 2) for number in range(len(rows))],
            [100 * figure["mean"] for figure in figures],
            xerr=[100 * (figure["spread"] or 0.0) for figure in figures],
            height=0.25,
            label=group,
        )
    first = 0.27 * (len(groups) - 1) / 2
    known = [(r["published"], n - first) for n, r in enumerate(rows) if r["published"] is not None]
    if known:
        axes.plot(
            *zip(*known, strict=True),
            "k|",
            markersize=14,
            markeredgewidth=2,
            label="paper, ImageNet VID",
        )
    axes.set_yticks(range(len(rows)), [_wrapped(row["name"]) for row in rows])
    axes.invert_yaxis()
    spread = ", mean and deviation over training seeds" if _several(result) else ""
    axes.set_xlabel(f"AP50 (%){spread}")
    axes.figure.legend(title="objects", loc="outside right upper")


def _several(result: dict[str, Any]) -> bool:
    """Whether there are several trainings of each row, and so means over them."""
    return len(result["seeds"]) > 1


def _wrapped(name: str) -> str:
    """A row's name in lines that leave the plot its room."""
    return "\n".join(textwrap.wrap(name, 40))


def _axis(row: dict[str, Any], result: dict[str, Any]) -> str:
    return row.get("axis") or result["axis"]


def _panels(result: dict[str, Any]) -> list[str]:
    """What the curves go over; each has a panel."""
    return list(dict.fromkeys(_axis(r, result) for r in result["rows"] if r["x"] is not None))


def _curves(result: dict[str, Any], axes: Any, panel: str) -> None:
    curves: dict[str, list[dict[str, Any]]] = {}
    for row in result["rows"]:
        if row["x"] is not None and _axis(row, result) == panel:
            curves.setdefault(row["curve"], []).append(row)
    for name, rows in curves.items():
        places = [row["x"] for row in rows]
        figures = [row["figures"]["all"] for row in rows]
        (line,) = axes.plot(places, [100 * figure["mean"] for figure in figures], "o-", label=name)
        low, high = ([100 * figure[end] for figure in figures] for end in ("low", "high"))
        axes.fill_between(places, low, high, alpha=0.12, color=line.get_color())
        known = [(row["x"], row["published"]) for row in rows if row["published"] is not None]
        if known:
            label = f"{name}, paper on ImageNet VID"
            axes.plot(*zip(*known, strict=True), "x:", color=line.get_color(), label=label)
    axes.set_xlabel(panel)
    mean = "mean over seeds, " if _several(result) else ""
    axes.set_ylabel(f"AP50 (%), {mean}95 % interval over videos")
    axes.legend()
