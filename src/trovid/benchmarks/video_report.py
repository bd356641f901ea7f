"""The figures of `trovid bench video` as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trovid.benchmarks.formatting import (
    format_bytes,
    format_machine,
    format_seconds,
    markdown_table,
)
from trovid.benchmarks.records import Record, write_page
from trovid.benchmarks.video_parts import PARTS

TIME_HEAD = ("recipe", "what", "fastest", "spread", "ratio")
PART_HEAD = ("recipe", "what", *PARTS)
CLIP_HEAD = ("recipe", "precision", "frames", "seconds", "peak memory")
AGREEMENT_HEAD = ("recipe", "precision", "boxes", "tolerance", "not found again")


def time_rows(records: Sequence[Record]) -> list[list[str]]:
    """Fastest run, spread, and the ratio to the plain backbone's fastest run."""
    return [
        [
            record["case"],
            name,
            format_seconds(record["minimum"][name]),
            f"{record['spread'][name]:.0%}",
            f"{record['ratio'][name]:.2f}",
        ]
        for record in records
        for name in record["minimum"]
    ]


def part_rows(records: Sequence[Record]) -> list[list[str]]:
    """Time by part."""
    return [
        [record["case"], name, *(format_seconds(parts[part]) for part in PARTS)]
        for record in records
        for name, parts in record["parts"].items()
    ]


def clip_rows(records: Sequence[Record]) -> list[list[str]]:
    """A whole clip in a process of its own."""
    return [
        [
            record["case"],
            precision,
            str(record["clip"]),
            format_seconds(clip["seconds"]),
            format_bytes(clip["peak_bytes"]),
        ]
        for record in records
        for precision, clip in record["clips"].items()
    ]


def agreement_rows(records: Sequence[Record]) -> list[list[str]]:
    """The boxes against those of the detector as it was built, in float32."""
    return [
        [
            record["case"],
            precision,
            str(agreement["boxes"][0]),
            f"{agreement['tolerance']:g} pixel",
            f"{agreement['unmatched']:.1%}" + ("" if agreement["passed"] else " WRONG"),
        ]
        for record in records
        for precision, agreement in record["agreement"].items()
    ]


INTRODUCTION = """\
Made by `trovid bench video`. Random weights, moving texture. "frame" is a target frame with a
filled bank, from the decoded frame to scored boxes; "support frame" is one frame more in the bank.
"backbone" is torchvision's network alone, with the dilated last stage that the detectors have, in
float32, as it comes; the ratio is to its fastest run in the same interleaved measurement.
"backbone, stride 32" is the same without dilation.
"""
TABLES = (
    ("Time, and ratio to the plain backbone", TIME_HEAD, time_rows),
    ("Time by part", PART_HEAD, part_rows),
    ("A clip in a process of its own", CLIP_HEAD, clip_rows),
    ("Boxes against the detector as built, float32", AGREEMENT_HEAD, agreement_rows),
)


def write_video_report(records: Sequence[Record], folder: Path) -> None:
    """report.md and report.json."""
    lines = [
        "# A whole detector on a frame",
        "",
        INTRODUCTION,
    ]
    for record in records:
        height, width = record["image"]
        lines.append(
            f"- {record['case']}: {height}x{width}, {record['support_frames']} support frames, "
            f"operator backend {record['operator']}, bank {format_bytes(record['bank_bytes'])}; "
            f"{format_machine(record['machine'])}"
        )
    for title, head, rows_of in TABLES:
        rows = rows_of(records)
        if rows:
            lines += ["", f"## {title}", "", *markdown_table(head, rows)]
    write_page(folder, "\n".join(lines) + "\n", records)
