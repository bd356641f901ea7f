"""`trovid bench pyramid`: Temporal RoI Align on a feature pyramid, beside the backbone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from trovid.cli.bench_checks import check_timing
from trovid.cli.messages import print_record
from trovid.cli.tables import print_figures, table_console
from trovid.errors import TrovidError

PYRAMID_FILE = "pyramid.json"


def pyramid(
    *,
    rois: int = 200,
    frames: int = 14,
    size: tuple[int, int] = (360, 640),
    maps: Literal["trained", "random"] = "trained",
    threads: int = 2,
    rounds: int = 5,
    seconds: float = 90.0,
    memory: bool = True,
    out: Path = Path("runs/bench"),
    folder: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Temporal RoI Align on the four levels of a pyramid, beside torchvision's ResNet-50-FPN.

    Runs are interleaved, and the ratio is of the fastest ones: what the RoI features of a frame
    cost, support maps kept, in plain forwards of its backbone. Some RoIs of each level are compared
    with the equations as commonly written; status 1 where they disagree. Beside it the search
    coarse to fine (docs/operator.md), and how many of the exact search's cells it finds. Then, each
    in a process of its own, the peak memory of the exact search, forward and with backward, beside
    what the similarities of all positions with all cells would take.

    Examples:
        trovid bench pyramid
        trovid bench pyramid --rois 100 --rounds 3
        trovid bench pyramid --folder docs/results/pyramid

    Args:
        rois: Proposals of the frame, over all levels.
        frames: Support frames.
        size: Height and width of the frame.
        maps: trained: with the spectrum of a trained network's; random: smooth random numbers.
        threads: torch's.
        rounds: At most so many timed runs of each.
        seconds: Timed runs stop after these, but not before the second round.
        memory: Measure the peak memory too.
        out: Folder for records.
        folder: Where a page of this run goes, if anywhere: report.md and report.json.
        json: Print the record as JSON in place of the table.
    """
    if min(rois, frames, *size) < 1:
        raise TrovidError("--rois, --frames and --size must be at least 1")
    check_timing(threads=threads, rounds=rounds, seconds=seconds)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from trovid.benchmarks.formatting import format_machine, format_seconds
    from trovid.benchmarks.pyramid import BACKBONE, PyramidSettings, run_pyramid
    from trovid.benchmarks.pyramid_report import write_pyramid_report
    from trovid.benchmarks.records import add_records

    settings = PyramidSettings(*size, rois, frames, maps, threads, rounds, seconds, memory=memory)
    record = run_pyramid(settings)
    path = out / PYRAMID_FILE
    add_records(path, [record])
    if folder is not None:
        write_pyramid_report([record], folder)
    passed = all(
        agreement["passed"] and agreement["coarse_passed"]
        for agreement in record["agreement"].values()
    )
    status = 0 if passed else 1
    if json:
        print_record({"status": status, "file": str(path), "records": [record]})
        return status
    console = table_console()
    rows = [
        [name, format_seconds(fastest), f"{fastest / record['minimum'][BACKBONE]:.2f}"]
        for name, fastest in record["minimum"].items()
    ]
    head = ("", "fastest run", "plain backbones")
    print_figures(console, record["case"], head, rows)
    levels = ", ".join(
        f"{name} {count} ({'x'.join(map(str, record['maps_by_level'][name]))})"
        for name, count in record["rois_by_level"].items()
    )
    console.print(f"RoIs by level: {levels}")
    worst = max(agreement["output"] for agreement in record["agreement"].values())
    console.print(f"largest error {worst:.1g} of the largest feature")
    for name, agreement in record["agreement"].items():
        console.print(
            f"coarse to fine, {name}: {agreement['coarse_cells_found']:.0%} of the exact search's "
            f"cells, mean cosine {agreement['coarse_cosine']:.3f} instead of "
            f"{agreement['cosine']:.3f}"
        )
    if memory:
        peaks = {name: f"{peak / 2**20:.0f} MiB" for name, peak in record["peak_memory"].items()}
        console.print(
            "peak memory: forward {forward}, forward and backward {forward_backward}; a volume of "
            "all similarities would take {similarity_volume}".format_map(peaks)
        )
    console.print(format_machine(record["machine"]))
    console.print(f"records: {path}")
    if folder is not None:
        console.print(f"report: {folder}")
    if status:
        console.print("WRONG RESULT: see `agreement` in the records")
    return status
