"""The figures of `trovid bench pyramid` as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trovid.benchmarks.formatting import format_machine, format_seconds, markdown_table
from trovid.benchmarks.pyramid import BACKBONE
from trovid.benchmarks.records import Record, write_page

TIME_HEAD = ("case", "what", "fastest", "median", "spread", "plain backbones")
AGREEMENT_HEAD = (
    "case",
    "level",
    "RoIs compared",
    "error",
    "ties",
    "coarse to fine: cells found",
    "its mean cosine",
    "exact",
)
MEMORY_HEAD = ("case", "forward", "forward and backward", "all similarities would take")
INTRODUCTION = """\
Made by `trovid bench pyramid`. What the RoI features of a frame cost on the four levels of a
feature pyramid, the support maps kept, beside torchvision's plain ResNet-50-FPN with random
weights, in float32. Each proposal searches its own level. Runs are interleaved; `spread` is
(slowest - fastest) / median, `plain backbones` the ratio of the fastest runs. The search coarse to
fine is an option that does not always find the same cells (docs/operator.md).
"""


def time_rows(records: Sequence[Record]) -> list[list[str]]:
    """Fastest and median run, spread, and the ratio to the plain backbone's fastest run."""
    return [
        [
            record["case"],
            name,
            format_seconds(fastest),
            format_seconds(record["median"][name]),
            f"{record['spread'][name]:.0%}",
            f"{fastest / record['minimum'][BACKBONE]:.2f}",
        ]
        for record in records
        for name, fastest in record["minimum"].items()
    ]


def agreement_rows(records: Sequence[Record]) -> list[list[str]]:
    """Level by level: the exact search against the equations, the other one against the exact."""
    return [
        [
            record["case"],
            level,
            str(agreement["rois"]),
            f"{agreement['output']:.1e}"
            + ("" if agreement["passed"] and agreement["coarse_passed"] else " WRONG"),
            str(agreement["ties"]),
            f"{agreement['coarse_cells_found']:.0%}",
            f"{agreement['coarse_cosine']:.3f}",
            f"{agreement['cosine']:.3f}",
        ]
        for record in records
        for level, agreement in record["agreement"].items()
    ]


def memory_rows(records: Sequence[Record]) -> list[list[str]]:
    """Peaks beyond maps and weights, of those records that have them."""
    names = ("forward", "forward_backward", "similarity_volume")
    return [
        [record["case"], *(f"{record['peak_memory'][name] / 2**20:,.0f} MiB" for name in names)]
        for record in records
        if "peak_memory" in record
    ]


TABLES = (
    ("Time", TIME_HEAD, time_rows),
    ("Agreement", AGREEMENT_HEAD, agreement_rows),
    ("Peak memory beyond maps and weights", MEMORY_HEAD, memory_rows),
)
NOTES = {
    "Agreement": "`error` is max |a - b| / max |b| of the exact search's features against the "
    "equations as commonly written, of some RoIs of each level; `ties` counts positions whose K-th "
    "and next similarity are the same in rounding, which are left out.",
    "Peak memory beyond maps and weights": "Of a process of its own, with the exact search.",
}


def write_pyramid_report(records: Sequence[Record], folder: Path) -> None:
    """report.md and report.json."""
    lines = ["# Temporal RoI Align on a feature pyramid", "", INTRODUCTION]
    for record in records:
        levels = ", ".join(
            f"{name} {count} ({'x'.join(map(str, record['maps_by_level'][name]))})"
            for name, count in record["rois_by_level"].items()
        )
        lines.append(
            f"- {record['case']}: frame of {record['height']}x{record['width']}, {record['maps']} "
            f"maps, operator backend {record['operator']}; RoIs by level (cells) {levels}; "
            f"{format_machine(record['machine'])}"
        )
    for title, head, rows_of in TABLES:
        rows = rows_of(records)
        if rows:
            note = [NOTES[title], ""] if title in NOTES else []
            lines += ["", f"## {title}", "", *note, *markdown_table(head, rows)]
    write_page(folder, "\n".join(lines) + "\n", records)
