"""`trovid data`: looking at labelled videos, and changing what form they have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from trovid.cli.messages import print_record
from trovid.progress import bar

if TYPE_CHECKING:
    from trovid.datasets.check import CheckReport
    from trovid.datasets.contract import Dataset

data = cyclopts.App(
    name="data",
    help="Labelled videos: check.",
    help_epilogue="Examples:\n    trovid data check my-videos\n",
    help_format="plaintext",
)
FLAG = Parameter(negative="")
FAULTS_FOUND = 1


@data.command
def check(
    path: Path,
    /,
    *,
    decode: Annotated[bool, FLAG] = False,
    sheet: Path | None = None,
    out: Path | None = None,
    json: Annotated[bool, FLAG] = False,
) -> int:
    """Find what is wrong with labels and videos before a training does.

    All labels are looked at, and of every video the files, their sizes, the number of frames and
    the first and last frame. An error stops a training, a warning is only said.

    Exit status: 0 no error; 1 errors were found; 2 there is nothing to look at.

    Examples:
        trovid data check my-videos
        trovid data check my-videos --sheet labels.png
        trovid data check ILSVRC2015 --decode --json

    Args:
        path: A file of labels, or a folder of any format that trovid reads.
        decode: Decode every frame of every video, which takes long.
        sheet: PNG to write: frames of the videos with their labels drawn.
        out: File for the findings as JSON.
        json: Print the findings as JSON in place of the table.
    """
    from trovid.datasets.check import check_data
    from trovid.datasets.reading import format_of
    from trovid.zoo.published import cache_folder

    format_of(path)
    with bar("checking", unit="videos") as tick:
        report = check_data(path, decode=decode, cache=cache_folder() / "checks", progress=tick)
    if sheet is not None:
        _write_sheet(sheet, path)
    if out is not None:
        _write_json(out, report)
    if json:
        print_record(report.to_dict())
    else:
        _print_report(report)
        if sheet is not None:
            print(f"labels drawn: {sheet}")
    return FAULTS_FOUND if report.errors else 0


def _print_report(report: CheckReport) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for split, counts in report.counts.items():
        words = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n)
        console.print(f"{split or report.path}: {words or 'nothing'}", highlight=False)
    if report.findings:
        table = Table()
        for column in ("level", "fault", "split", "number", "what and where"):
            table.add_column(column, overflow="fold")
        for found in report.findings:
            row = (found.level, found.name, found.split, str(found.count), found.message)
            table.add_row(*row)
        console.print(table, highlight=False, markup=False)
    errors, warnings = len(report.errors), len(report.warnings)
    said = f"{errors} errors, {warnings} warnings" if report.findings else "nothing is wrong"
    console.print(said, highlight=False)


def _write_json(path: Path, report: CheckReport) -> None:
    import json as json_text

    from trovid.files import replacing

    with replacing(path) as partial:
        partial.write_text(json_text.dumps(report.to_dict(), indent=1), encoding="utf-8")


def _write_sheet(sheet: Path, path: Path) -> None:
    from trovid.viz.label_sheet import write_label_sheet

    write_label_sheet(sheet, _lenient(path))


def _lenient(path: Path) -> Dataset:
    """The first split, without what does not fit."""
    from trovid.datasets.findings import Faults
    from trovid.datasets.reading import read_dataset, splits_of

    there = splits_of(path)
    return read_dataset(path, split=there[0] if there else None, faults=Faults(collect=True))
