"""What `trovid detect` says in the end, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from trovid.cli.messages import print_record
from trovid.cli.tables import table_console
from trovid.errors import printable

if TYPE_CHECKING:
    from trovid.runs.batch import Result
    from trovid.runs.video_run import Outcome

DONE, DONE_WITH_LOSSES, NOTHING_DONE = 0, 1, 2


def exit_status(results: Sequence[Result]) -> int:
    """0 all done, 1 done with losses, 2 nothing done."""
    if not any(result.outcome or result.done_before for result in results):
        return NOTHING_DONE
    perfect = all(result.state in ("done", "done before") for result in results)
    return DONE if perfect else DONE_WITH_LOSSES


def result_record(result: Result) -> dict[str, Any]:
    """One input as `--json` prints it."""
    record: dict[str, Any] = {"source": result.source, "state": result.state}
    if result.job is not None and (result.outcome or result.done_before):
        record["files"] = {kind: str(file) for kind, file in result.job.files.items()}
    if result.outcome is not None:
        record |= {
            "frames": result.outcome.frames,
            "detections": result.outcome.detections,
            "seconds": round(result.outcome.seconds, 3),
            "frames_per_second": round(result.outcome.speed, 2),
        }
        if result.outcome.latencies:
            record["latency_ms"] = latency(result.outcome.latencies)
    return record | {"losses": result.losses}


def latency(seconds: list[float]) -> dict[str, float]:
    """Median and 95th percentile in milliseconds."""
    cuts = quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else seconds * 19
    return {"median": round(1000 * cuts[9], 1), "p95": round(1000 * cuts[18], 1)}


def print_json(results: Sequence[Result], status: int) -> None:
    """One JSON object on stdout."""
    print_record({"status": status, "videos": [result_record(r) for r in results]})


def print_table(results: Sequence[Result]) -> None:
    """A table of the inputs, and the files that were written."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    console = table_console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("video", overflow="fold")
    for head in ("frames", "detections", "seconds", "frames/s"):
        table.add_column(head, justify="right")
    table.add_column("state")
    if any(result.outcome and result.outcome.latencies for result in results):
        table.add_column("latency, ms", justify="right")
    for result in results:
        table.add_row(escape(printable(result.source)), *_figures(result.outcome, result.state))
    console.print(table)
    for result in results:
        if result.job is not None and result.outcome is not None:
            for file in result.job.files.values():
                print(printable(f"  {file}"))


def _figures(outcome: Outcome | None, state: str) -> list[str]:
    if outcome is None:
        return ["", "", "", "", state]
    cells = [
        str(outcome.frames),
        str(outcome.detections),
        f"{outcome.seconds:.1f}",
        f"{outcome.speed:.1f}",
        state,
    ]
    if outcome.latencies:
        figures = latency(outcome.latencies)
        cells.append(f"{figures['median']} (95 %: {figures['p95']})")
    return cells
