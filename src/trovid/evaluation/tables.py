"""A report as tables, for a terminal, for Markdown and for a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trovid.errors import printable
from trovid.evaluation.report import FIGURES, Report

if TYPE_CHECKING:
    from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    """A title, the names of the columns, and rows of as many cells; the first column is text."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """As Markdown."""
        lines = [self.head, ("---", *["---:"] * (len(self.head) - 1)), *self.rows]
        text = "\n".join("| " + " | ".join(_escaped(line)) + " |" for line in lines)
        return f"{self.title}\n\n{text}\n" if self.title else f"{text}\n"

    def rich(self) -> RichTable:
        """For a terminal."""
        from rich.markup import escape
        from rich.table import Table as RichTable

        table = RichTable(title=self.title or None, title_justify="left")
        for number, name in enumerate(self.head):
            table.add_column(escape(printable(name)), justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*(escape(printable(cell)) for cell in row))
        return table


def report_tables(report: Report) -> list[Table]:
    """Groups, protocols and classes, in per cent."""
    frames = f"{report.head['frames']} frames of {report.head['videos']} videos"
    columns = (*FIGURES, "number")
    found = [
        Table(
            f"COCO average precision in per cent, {frames}",
            ("objects of", *columns),
            [
                (name, per_cent(f.ap50), per_cent(f.ap75), per_cent(f.ap), str(f.num_objects))
                for name, f in {"all": report.overall, **report.groups}.items()
            ],
        )
    ]
    found += _protocol_tables(report)
    found += _interval_tables(report)
    found += _stability_tables(report)
    found.append(
        Table(
            "",
            ("class", *columns),
            [
                (name, per_cent(f.ap50), per_cent(f.ap75), per_cent(f.ap), str(f.num_objects))
                for name, f in report.per_class.items()
            ],
        )
    )
    return found


def _protocol_tables(report: Report) -> list[Table]:
    """AP50 under each name; EPIC's, whose columns are overlaps, apart."""
    others = {name: group_aps for name, group_aps in report.protocols.items() if name != "epic"}
    tables = []
    if others:
        groups = list(next(iter(others.values())))
        coco = {"all": report.overall, **report.groups}
        ap50 = {
            **{n: {g: f.mean for g, f in group_aps.items()} for n, group_aps in others.items()},
            "coco": {group: coco[group].ap50 for group in groups if group in coco},
        }
        tables.append(
            Table(
                "AP50 of ImageNet VID by protocol, in per cent",
                ("protocol", *groups),
                [
                    (name, *(per_cent(averages.get(group, math.nan)) for group in groups))
                    for name, averages in ap50.items()
                ],
            )
        )
    if "epic" in report.protocols:
        epic_aps = report.protocols["epic"]
        row = tuple(per_cent(figures.mean) for figures in epic_aps.values())
        tables.append(Table("EPIC-KITCHENS, per cent", ("mAP at", *epic_aps), [("all", *row)]))
    return tables


def _interval_tables(report: Report) -> list[Table]:
    rows = [
        (
            f"{protocol}, {group}",
            *(per_cent(x) for x in (interval.value, interval.low, interval.high)),
        )
        for protocol, groups in report.intervals.items()
        for group, interval in groups.items()
    ]
    head = ("AP50", "value", "from", "to")
    return [Table("95 % intervals over the videos, in per cent", head, rows)] if rows else []


def _stability_tables(report: Report) -> list[Table]:
    stability = report.stability
    if stability is None:
        return []
    if stability.score is None:
        title = "Along tracks: nothing, as at no score 80 % of the detections are right"
        return [Table(title, ("tracks", "number"), [("followed", str(stability.num_tracks))])]
    gap = stability.worst_gap
    where = "-"
    if gap is not None:
        length = f"{gap.frames} frame{'s' * (gap.frames != 1)}"
        where = f"{length} from {gap.first_frame}: {gap.video}, object {gap.instance_id}"
    rows = [
        ("objects found, per cent", per_cent(stability.recall)),
        ("lost objects that appear, per 100 steps", f"{stability.appears:.2f}"),
        ("found objects that vanish, per 100 steps", f"{stability.vanishes:.2f}"),
        ("changes of class, per 100 steps", f"{stability.class_changes:.2f}"),
        ("longest gap", where),
    ]
    title = (
        f"Along {stability.num_tracks} tracks at score {stability.score:.3f}, "
        "the lowest at which 80 % of the detections are right"
    )
    return [Table(title, ("", "number"), rows)]


def per_cent(value: float) -> str:
    """One decimal, or - for a figure that does not exist."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _escaped(cells: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in cells]
