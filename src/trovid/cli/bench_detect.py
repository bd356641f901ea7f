"""`trovid bench detect`: the whole command on a video, with the time of each part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from trovid.cli.bench_checks import check_timing
from trovid.cli.messages import print_record
from trovid.cli.names import ModelName
from trovid.cli.tables import print_figures, table_console
from trovid.zoo.default import DEFAULT_MODEL

DETECT_FILE = "detect.json"


def detect(
    video: str,
    *,
    model: ModelName = DEFAULT_MODEL,
    single: ModelName | None = None,
    support: str | None = None,
    end: str | None = None,
    threads: int = 2,
    rounds: int = 3,
    seconds: float = 120.0,
    out: Path = Path("runs/bench"),
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """The whole of `trovid detect` on a video: decoding, annotated MP4, CSV and JSON included.

    Beside it the same on single frames; runs are interleaved, and the ratio is of their fastest
    ones. What the runs have written is compared with the frames looked at one by one; status 1
    where it differs. The parts are timed alone: in the command decoding, model, and drawing with
    encoding run beside each other.

    Examples:
        trovid bench detect street.mp4
        trovid bench detect street.mp4 --support uniform:8 --rounds 2

    Args:
        video: A video file or a folder of images.
        model: Name of a model, or a weights file.
        single: The single-frame rival; by default the model itself without support frames.
        support: Support frames: uniform:14 (or 14), ...; by default the model's own.
        end: Time at which to end; by default the video's end.
        threads: torch's.
        rounds: At most so many timed runs of each.
        seconds: Timed runs stop after these, but not before the second round.
        out: Folder for records.
        json: Print the record as JSON in place of the tables.
    """
    check_timing(threads=threads, rounds=rounds, seconds=seconds)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from trovid.benchmarks.detect import DetectSettings, run_detect
    from trovid.benchmarks.formatting import format_machine
    from trovid.benchmarks.records import add_records
    from trovid.structures.times import seconds as seconds_of

    last = None if end is None else seconds_of(end)
    record = run_detect(
        video, DetectSettings(model, single, support, threads, rounds, seconds, last)
    )
    path = out / DETECT_FILE
    add_records(path, [record])
    passed = all(agreement["passed"] for agreement in record["agreement"].values())
    status = 0 if passed else 1
    if json:
        print_record({"status": status, "file": str(path), "records": [record]})
        return status
    console = table_console()
    for title, head, rows in _tables(record):
        print_figures(console, title, head, rows)
    height, width = record["size"]
    console.print(
        f"{record['frames']} frames of {width}x{height}, {record['support_frames']} support "
        f"frames; time is {record['ratio']:.2f} times that of single frames; a command for the "
        f"first frame alone takes {record['start_seconds']:.1f} s",
        highlight=False,
    )
    console.print(format_machine(record["machine"]), highlight=False)
    console.print(f"records: {path}")
    if not passed:
        console.print("WRONG RESULT: see `agreement` in the records")
    return status


def _tables(record: dict[str, Any]) -> list[tuple[str, tuple[str, ...], list[list[str]]]]:
    """Title, head and rows of each table."""
    from trovid.benchmarks.formatting import format_seconds

    whole = [
        [name, f"{speed:.1f}", format_seconds(min(record["seconds"][name])), f"{spread:.0%}"]
        for (name, speed), spread in zip(
            record["frames_per_second"].items(), record["spread"].values(), strict=True
        )
    ]
    names = list(next(iter(record["parts"].values())))
    parts = [
        [
            name,
            *(format_seconds(seconds[part]) for part in names),
            format_seconds(sum(seconds.values())),
        ]
        for name, seconds in record["parts"].items()
    ]
    return [
        ("The whole command", ("", "frames/s", "fastest", "spread"), whole),
        ("A frame of each part alone", ("", *names, "sum"), parts),
    ]
