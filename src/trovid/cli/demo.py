"""`trovid demo`: the same detector with and without Temporal RoI Align, on built-in clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from trovid.cli.messages import print_record

if TYPE_CHECKING:
    from trovid.evaluation.report import Report

SINGLE, TEMPORAL = "synthvid-single", "synthvid-selsa-troi"
SHOWN_CLIPS = 4
SHOWN_SCORE = 0.4


def demo(
    out: Path = Path("trovid-demo"),
    /,
    *,
    clips: int = 24,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Compare a single-frame detector with SELSA + Temporal RoI Align on SynthVID test clips.

    Takes a few minutes on 2 cores. Writes into OUT:
      comparison.mp4     the first four test clips, on the right with the method
      contact-sheet.png  frames of the same clips
      explanation.png    where one deteriorated object was found again
      detections-*.json  all detections of both models
      clips/             the clips and their labels

    Examples:
        trovid demo
        trovid demo /tmp/demo --clips 40

    Args:
        out: Folder for the results.
        clips: Number of test clips that the table is made of, at least 20.
        json: Print the figures and files as JSON.
    """
    from trovid.errors import TrovidError
    from trovid.evaluation import evaluate
    from trovid.experiments.demonstration import run_models, write_clips
    from trovid.viz.demonstration import save_comparison, save_contact_sheet, save_demo_explanation

    if clips < 20:
        raise TrovidError(f"--clips must be at least 20 for a table worth reading, but is {clips}")
    out.mkdir(parents=True, exist_ok=True)
    labels = write_clips(out / "clips", clips)
    found = run_models((SINGLE, TEMPORAL), labels, out)
    left, right = found[SINGLE], found[TEMPORAL]
    shown = [video.name for video in labels.videos[:SHOWN_CLIPS]]
    save_comparison(out / "comparison.mp4", labels, shown, left, right, score=SHOWN_SCORE)
    save_contact_sheet(out / "contact-sheet.png", labels, shown, left, right, score=SHOWN_SCORE)
    save_demo_explanation(out / "explanation.png", labels, left, right, model=TEMPORAL)
    reports = {name: evaluate(predictions, labels) for name, predictions in found.items()}
    if json:
        figures = {name: report.to_dict() for name, report in reports.items()}
        print_record({"folder": str(out), "reports": figures})
        return
    _print_table(reports)
    print(f"\nLook at {out / 'comparison.mp4'}")
    for name in ("contact-sheet.png", "explanation.png", "detections-*.json"):
        print(f"        {out / name}")


def _print_table(reports: dict[str, Report]) -> None:
    from rich.console import Console
    from rich.table import Table

    head = next(iter(reports.values())).head
    table = Table(title=f"COCO AP50 (%) over {head['videos']} test clips, {head['frames']} frames")
    table.add_column("objects")
    for name in reports:
        table.add_column(name, justify="right")
    groups = list(next(iter(reports.values())).groups)
    rows = ["all", *(g for g in groups if not g.startswith(("strength", "motion")))]
    for row in rows:
        figures = [
            report.overall if row == "all" else report.groups[row] for report in reports.values()
        ]
        table.add_row(row, *(f"{100 * figure.ap50:.1f}" for figure in figures))
    Console().print(table)
