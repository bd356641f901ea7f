"""The operator's figures as tables, as a page and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from pathlib import Path

from trovid.benchmarks.contenders import RIVAL, TROVID
from trovid.benchmarks.formatting import (
    format_bytes,
    format_machine,
    format_seconds,
    markdown_table,
)
from trovid.benchmarks.maps import RANDOM, TRAINED
from trovid.benchmarks.operator_cases import FACTORS, PAPER, factor_of
from trovid.benchmarks.operator_size import OperatorSize
from trovid.benchmarks.records import Record, write_page
from trovid.files import replacing

TIME_HEAD = ("case", "backend", "rival", "trovid", "faster", "spread", "error", "ties", "compared")
MEMORY_HEAD = ("case", "backend", "rival", "trovid", "share")
ROOFLINE_HEAD = ("case", "backend", "factored", "equations", "mm", "1x1 conv", "of conv")
_FACTOR_LABELS = {
    "rois": "RoIs R",
    "frames": "support frames T",
    "channels": "channels C",
    "map": "map cells H x W",
    "top_k": "K",
}


def time_rows(records: Sequence[Record]) -> list[list[str]]:
    """Fastest run (median), speed-up of the fastest, spread, largest error, ties."""
    rows = []
    for record in records:
        if record["kind"] != "time":
            continue
        agreement = record["agreement"]
        times = [
            f"{format_seconds(record['minimum'][name])} ({format_seconds(record['median'][name])})"
            for name in (RIVAL, TROVID)
        ]
        spread = " / ".join(f"{record['spread'][name]:.0%}" for name in (RIVAL, TROVID))
        rows.append(
            [
                record["case"],
                backend_words(record),
                *times,
                f"{record['speedup']:.1f}",
                spread,
                error_words(record),
                f"{agreement['ties']} of {agreement['positions']}",
                search_words(record),
            ]
        )
    return rows


def brief(head: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """A table without its column `backend`, medians and totals, to fit a terminal."""
    place = head.index("backend")
    narrow = [
        [
            word.partition(" (")[0].partition(" of ")[0]
            for index, word in enumerate(row)
            if index != place
        ]
        for row in rows
    ]
    return [name for name in head if name != "backend"], narrow


def memory_rows(records: Sequence[Record]) -> list[list[str]]:
    """Peak extra memory of both, and trovid's share of the rival's."""
    return [
        [
            record["case"],
            backend_words(record),
            *(format_bytes(record["extra_bytes"][name]) for name in (RIVAL, TROVID)),
            f"1/{1 / max(record['share'], 1e-9):.1f}",
        ]
        for record in records
        if record["kind"] == "memory"
    ]


def roofline_rows(records: Sequence[Record]) -> list[list[str]]:
    """GFLOP/s that the forward passes reach at the paper's size, beside those of plain products."""
    rows = []
    for record in records:
        if record["kind"] != "time" or not record["case"].startswith("forward-"):
            continue
        seconds, speeds = record["minimum"][TROVID], record["products_gflops"]
        achieved = record["factored_flops"] / seconds / 1e9
        rows.append(
            [
                record["case"],
                backend_words(record),
                f"{achieved:.0f}",
                f"{record['equation_flops'] / seconds / 1e9:.0f}",
                f"{speeds['mm']:.0f}",
                f"{speeds['conv']:.0f}",
                f"{achieved / speeds['conv']:.0%}",
            ]
        )
    return rows


def backend_words(record: Record) -> str:
    """Backend, instruction set where one was forced, device and precision where unusual."""
    words = [record["backend"], record["isa"]]
    words += [record["device"]] if record["device"] != "cpu" else []
    words += [record["dtype"]] if record["dtype"] != "float32" else []
    words += [Path(maps).name] if (maps := record.get("maps", RANDOM)) != RANDOM else []
    return " ".join(word for word in words if word)


def error_words(record: Record) -> str:
    """The largest error, and what is wrong with the result, if anything."""
    known = [error for error in record["agreement"]["errors"].values() if not isnan(error)]
    error = f"{max(known):.1e}" if known else "-"
    if record["agreement"]["passed"]:
        return error
    reason = open_because(record)
    return f"{error}, {reason}" if reason else f"WRONG {error}"


def open_because(record: Record) -> str | None:
    """Why a result that did not pass could not be checked; None where it is wrong."""
    agreement = record["agreement"]
    errors = agreement["errors"].values()
    if any(error > agreement["tolerance"] for error in errors):
        return None
    return "rival not finite" if any(map(isnan, errors)) else "too many ties"


def search_words(record: Record) -> str:
    """The share of pairs of position and cell that were compared in all channels, and m.

    A dash where it is not known: only the native backend tells.
    """
    search = record.get("search")
    if search is None:
        return "-"
    if not search["directions"]:
        return "all"
    return f"{search['share']:.1%} (m = {search['directions']})"


def slowest(records: Sequence[Record], backend: str = "auto") -> Record | None:
    """The record of a backend with the smallest speed-up."""
    timed = [r for r in records if r["kind"] == "time" and r["backend"] == backend]
    return min(timed, key=lambda record: record["speedup"], default=None)


def write_report(records: Sequence[Record], folder: Path) -> None:
    """Writes report.json, report.md and report.png into `folder`, each whole or not at all."""
    write_page(folder, report_markdown(records), records)
    plot(records, folder / "report.png")


def report_markdown(records: Sequence[Record]) -> str:
    """The page."""
    paper = [record for record in records if factor_of(record["case"]) is None]
    scaling = [record for record in records if factor_of(record["case"])]
    machines = dict.fromkeys(format_machine(record["machine"]) for record in records)
    lines = [
        "# The operator against the equations as commonly written",
        "",
        "Made by `trovid bench operator` and `trovid bench report`. The rival is "
        "`trovid.benchmarks.rival`, which is frozen. Runs are interleaved; a time is the fastest "
        "run, the median in brackets; `spread` is (slowest - fastest) / median of the rival and of "
        "trovid; `error` is the largest max |a - b| / max |b| of the output and, where there is "
        "a backward, of all gradients; `ties` counts positions whose K-th and next similarity "
        "differ by less than 1e-6 in float64, which are left out (`too many ties`: so many that "
        "the rest says little; `rival not finite`: it divides by zero where a cell or position "
        "is zero). trovid's time includes preparing the support maps, except in the "
        "`-packed` case. `compared` is the share of pairs of position and cell that the native "
        "backend compared in all channels, m the directions of its prefixes (`-`: another "
        "backend, or not recorded).",
        "",
        f"Size, unless a case says otherwise: {PAPER.words()}.",
        "",
        *_other_sizes(records),
        "## Time",
        "",
        *markdown_table(TIME_HEAD, time_rows(paper)),
        "",
        "## Peak extra memory",
        "",
        "Of a process of its own: resident high-water mark over the state with the inputs made.",
        "",
        *markdown_table(MEMORY_HEAD, memory_rows(paper)),
        "",
        "## One factor at a time",
        "",
        "Forward, grouped.",
        "",
        *markdown_table(TIME_HEAD, time_rows(scaling)),
        "",
        *_slowest_words(records),
        "![Time of the rival and of trovid, one factor at a time](report.png)",
        "",
        "## Roofline",
        "",
        "GFLOP/s of the fastest run: counting the products of the factored algorithm "
        "(`trovid.benchmarks.flops`; all cells of the target map and psi of all positions, of "
        "which trovid saves a part, so that more than the machine's speed is possible), and "
        "counting those of the equations; beside them the machine's own speed, measured in the "
        "same run, of torch.mm (2048x2048) and of a channels-last 1x1 convolution (512 to 512 "
        "channels).",
        "",
        *markdown_table(ROOFLINE_HEAD, roofline_rows(paper)),
        "",
        "## Where",
        "",
        *(f"- {words}" for words in machines),
        "",
        *_gpu_words(records),
    ]
    return "\n".join(lines)


def _other_sizes(records: Sequence[Record]) -> list[str]:
    """The sizes of the maps that are given and not made, in which no case varies them."""
    sizes = {
        record["maps"]: OperatorSize(**record["size"])
        for record in sorted(records, key=lambda record: record["size"]["frames"])
        if record.get("maps", RANDOM) not in (RANDOM, TRAINED)
    }
    return [
        line
        for maps, size in sizes.items()
        for line in (
            f"With the maps {Path(maps).name}: T = {size.frames}, C = {size.channels}, map "
            f"{size.height}x{size.width}, N = {size.heads}.",
            "",
        )
    ]


def _slowest_words(records: Sequence[Record]) -> list[str]:
    record = slowest(records)
    if record is None:
        return []
    return [
        f"`auto` is least ahead in `{record['case']}`: {record['speedup']:.2f} times as fast "
        "as the rival.",
        "",
    ]


def _gpu_words(records: Sequence[Record]) -> list[str]:
    if any(record["device"].startswith("cuda") for record in records):
        return []
    return ["No GPU was at hand: nothing here was measured on one.", ""]


def plot(records: Sequence[Record], path: Path) -> None:
    """Time over each factor, on logarithmic axes: the rival, and each backend of trovid."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(FACTORS), figsize=(16, 3.8), sharey=True)
    forward = [r for r in records if r["kind"] == "time" and not r["backward"]]
    for place, factor in zip(axes, FACTORS, strict=True):
        lines: dict[str, list[tuple[float, float]]] = {}
        for record in forward:
            scaled = factor_of(record["case"])
            if record["case"] != "forward-grouped" and (scaled is None or scaled[0] != factor):
                continue
            size = record["size"]
            value = size["height"] * size["width"] if factor == "map" else size[factor]
            for name, label in ((RIVAL, RIVAL), (TROVID, f"trovid, {backend_words(record)}")):
                lines.setdefault(label, []).append((value, record["minimum"][name]))
        for label, points in lines.items():
            fastest: dict[float, float] = {}
            for value, seconds in points:
                fastest[value] = min(seconds, fastest.get(value, seconds))
            style = {"color": "0.4", "linestyle": "--"} if label == RIVAL else {}
            place.plot(
                *zip(*sorted(fastest.items()), strict=True), marker="o", label=label, **style
            )
        place.set_xscale("log")
        place.set_yscale("log")
        values = sorted({value for points in lines.values() for value, _ in points})
        place.set_xticks(values, [f"{value:g}" for value in values])
        place.minorticks_off()
        place.set_xlabel(_FACTOR_LABELS[factor])
        place.grid(alpha=0.3)
    axes[0].set_ylabel("seconds, fastest run")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=4, bbox_to_anchor=(0.5, 1.02))
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100, bbox_inches="tight")
    plt.close(figure)
