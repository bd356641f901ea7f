"""`trovid bench`: measurements, each beside its rival and with the result checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import cyclopts
from cyclopts import Parameter

from trovid.cli.bench_checks import check_against, check_device, check_timing
from trovid.cli.bench_detect import detect
from trovid.cli.bench_pyramid import pyramid
from trovid.cli.messages import print_record
from trovid.cli.names import RecipeName
from trovid.cli.tables import print_figures, table_console
from trovid.errors import TrovidError

OPERATOR_FILE = "operator.json"
TRAINING_FILE = "training.json"
VIDEO_FILE = "video.json"
AGAINST_FILE = "against.json"
FLAG = Parameter(negative="")

bench = cyclopts.App(
    name="bench",
    help="Measure speed and memory, each beside its rival and with the result checked.",
    help_epilogue="Examples:\n"
    "    trovid bench operator --quick\n"
    "    trovid bench operator forward rois\n"
    "    trovid bench video\n"
    "    trovid bench detect street.mp4\n"
    "    trovid bench pyramid\n"
    "    trovid bench training\n"
    "    trovid bench report",
    help_format="plaintext",
)
bench.command(detect)
bench.command(pyramid)


@bench.command
def operator(
    cases: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    *,
    backend: str = "auto",
    isa: Literal["avx512_bf16", "avx512_vnni", "avx512", "avx2_vnni", "avx2", "portable"]
    | None = None,
    threads: int = 2,
    device: str = "cpu",
    dtype: Literal["float32", "bfloat16"] = "float32",
    rounds: int = 7,
    seconds: float = 40.0,
    maps: str = "random",
    quick: Annotated[bool, FLAG] = False,
    against: Path | None = None,
    out: Path = Path("runs/bench"),
    json: Annotated[bool, FLAG] = False,
) -> int:
    """The operator at the paper's size and around it, against the equations as commonly written.

    Runs are interleaved; the output and the gradients are compared with the rival's in the same
    run, ties counted and left out; status 1 where they disagree, or where that cannot be told.
    Records go to OUT/operator.json, where those of an earlier run stay unless they measured the
    same.

    Examples:
        trovid bench operator
        trovid bench operator forward rois --backend native --isa avx2
        trovid bench operator forward --maps trained
        trovid bench operator forward --against ../before/.venv/bin/python
        trovid bench operator --quick

    Args:
        cases: Names of cases, or beginnings of them such as `memory` or `rois`; all by default.
        backend: trovid's backend.
        isa: Instruction set of the native backend; by default the best that the machine has.
        threads: Threads of both.
        device: cpu, cuda or cuda:N.
        dtype: Precision of the maps; bfloat16 is checked against float64 on the same numbers, and
            is refused where torchvision has no RoIAlign in it, which the rival uses.
        rounds: At most so many timed runs of each contender.
        seconds: Timed runs of a case stop after these, but not before the second round.
        maps: random: smooth random numbers; trained: with the spectrum of a trained network's;
            synthvid: the embedded detector's; or a folder with one .npy file [C, H, W] a frame, the
            target first. The share of cells that are compared in all channels hangs on these. The
            last two have a size of their own: cases that vary it otherwise are left out.
        quick: A tiny size, to see that everything works.
        against: The Python interpreter of another installation of trovid: the same work is then
            timed here and there in turns, in place of what is measured otherwise; on random maps,
            in float32 on the CPU, without memory and -packed.
        out: Folder for records.
        json: Print the records as JSON in place of the tables.
    """
    if isa is not None:
        os.environ["TROVID_NATIVE_ISA"] = isa  # read when the native library is loaded
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from trovid.benchmarks import operator_report as report
    from trovid.benchmarks.formatting import format_machine
    from trovid.benchmarks.maps import fitted
    from trovid.benchmarks.operator import (
        Settings,
        estimate,
        fitting,
        passed,
        probe,
        run_operator,
    )
    from trovid.benchmarks.operator_cases import (
        PAPER,
        QUICK,
        all_cases,
        chosen_cases,
        quick_cases,
    )
    from trovid.benchmarks.records import add_records
    from trovid.progress import bar

    check_timing(threads=threads, rounds=rounds, seconds=seconds)
    check_device(device)
    if against is not None:
        check_against(maps=maps, backend=backend, dtype=dtype, device=device)
    chosen = fitting(chosen_cases(quick_cases() if quick else all_cases(), cases), maps)
    if against is not None:
        jobs = {
            case.name: {"kind": "operator", "size": case.size.values(), "backward": case.backward}
            for case in chosen
            if case.kind == "time" and not case.packed
        }
        if not jobs:
            raise TrovidError("--against times neither memory nor -packed: name other cases")
        return _against(jobs, against, threads, rounds, seconds, out, json)
    settings = Settings(backend, threads, device, dtype, rounds, seconds, maps=maps)
    try:
        probe(settings)
    except (ValueError, RuntimeError) as error:
        raise TrovidError(str(error)) from error
    console = table_console(quiet=json)
    minutes = estimate(chosen, settings) / 60
    console.print(f"{len(chosen)} cases, at most about {minutes:.1f} minutes")
    base = QUICK if quick else PAPER
    if (size := fitted(maps, base)) != base:
        console.print(f"size, unless a case says otherwise: {size.words()}", highlight=False)
    path = out / (f"quick-{OPERATOR_FILE}" if quick else OPERATOR_FILE)
    records = []
    with bar("measuring", unit="cases", seconds_between_lines=0.0) as tick:
        for record in run_operator(chosen, settings, progress=tick):
            records.append(record)
            add_records(path, [record])
    label = f"backend {report.backend_words(records[0])}"
    for title, head, rows in (
        ("Time of the fastest run", report.TIME_HEAD, report.time_rows(records)),
        ("Peak extra memory", report.MEMORY_HEAD, report.memory_rows(records)),
        ("Roofline, GFLOP/s", report.ROOFLINE_HEAD, report.roofline_rows(records)),
    ):
        if rows:
            print_figures(console, f"{title}, {label}", *report.brief(head, rows))
    console.print(format_machine(records[0]["machine"]))
    console.print(f"records: {path}")
    failed = [record for record in records if not passed(record)]
    by_reason: dict[str | None, list[str]] = {}
    for record in failed:
        by_reason.setdefault(report.open_because(record), []).append(record["case"])
    for reason, names in by_reason.items():
        if reason:
            console.print(f"NOT CHECKED, {reason}: {', '.join(names)}; measure with other maps")
        else:
            console.print(f"WRONG RESULT in {', '.join(names)}: see `agreement` in the records")
    return _ended(1 if failed else 0, records, path, json)


@bench.command
def video(
    recipes: Annotated[tuple[RecipeName, ...], Parameter(negative=())] = (),
    *,
    precision: tuple[Literal["float32", "bf16"], ...] = ("float32", "bf16"),
    backend: str = "auto",
    threads: int = 2,
    rounds: int = 5,
    seconds: float = 60.0,
    clip: int = 0,
    quick: Annotated[bool, FLAG] = False,
    against: Path | None = None,
    out: Path = Path("runs/bench"),
    folder: Path | None = None,
    json: Annotated[bool, FLAG] = False,
) -> int:
    """A whole detector on a frame whose bank is filled, beside its plain backbone.

    Random weights, the recipe's own image size and support frames. Runs are interleaved; the ratio
    is to torchvision's backbone with the same dilated stage, in float32, as it comes. The boxes
    are compared with those of the detector as it was built; status 1 where they disagree.

    Examples:
        trovid bench video
        trovid bench video paper/selsa-troi-r101 --clip 100 --rounds 2
        trovid bench video --quick

    Args:
        recipes: By default SELSA with Temporal RoI Align and ResNet-50, grouped (as the paper)
            and dense (as the published code).
        precision: Of the convolutions; both by default.
        backend: The operator's.
        threads: torch's.
        rounds: At most so many timed runs of each contender.
        seconds: Timed runs of a recipe stop after these, but not before the second round.
        clip: Frames of a clip that is run in a process of its own, whose highest memory is told.
        quick: Small images, to see that everything works.
        against: The Python interpreter of another installation of trovid: the same work is then
            timed here and there in turns, in place of what is measured otherwise.
        out: Folder for records.
        folder: Where a page of the records goes, if anywhere.
        json: Print the records as JSON in place of the tables.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if backend != "auto":
        os.environ["TROVID_BACKEND"] = backend
    from trovid.benchmarks import video_report
    from trovid.benchmarks.formatting import format_machine
    from trovid.benchmarks.records import add_records
    from trovid.benchmarks.video import RECIPES, VideoSettings, run_video
    from trovid.progress import bar

    check_timing(threads=threads, rounds=rounds, seconds=seconds)
    if against is not None:
        jobs = {
            f"{part}, {one}, {recipe}": {
                "kind": "video",
                "recipe": recipe,
                "precision": one,
                "part": part,
                "quick": quick,
            }
            for recipe in recipes or RECIPES
            for one in precision
            for part in ("frame", "support frame")
        }
        return _against(jobs, against, threads, rounds, seconds, out, json)
    settings = VideoSettings(precision, threads, backend, rounds, seconds, clip, quick)
    path = out / (f"quick-{VIDEO_FILE}" if quick else VIDEO_FILE)
    records = []
    with bar("measuring", unit="recipes", seconds_between_lines=0.0) as tick:
        for record in run_video(recipes or RECIPES, settings, progress=tick):
            records.append(record)
            add_records(path, [record])
    console = table_console(quiet=json)
    for record in records:
        if console.is_terminal:
            console.rule(record["case"], align="left")
        else:
            console.print(record["case"])
        for title, head, rows_of in video_report.TABLES:
            rows = [row[1:] for row in rows_of([record])]
            if rows:
                print_figures(console, title, head[1:], rows)
    console.print(format_machine(records[0]["machine"]))
    console.print(f"records: {path}")
    if folder is not None:
        video_report.write_video_report(records, folder)
        console.print(f"report: {folder}")
    passed = all(a["passed"] for r in records for a in r["agreement"].values())
    return _ended(0 if passed else 1, records, path, json)


@bench.command
def training(
    recipe: RecipeName = "synthvid-selsa-troi",
    *,
    backends: tuple[str, ...] = ("reference", "auto"),
    threads: int = 2,
    rounds: int = 20,
    seconds: float = 60.0,
    quick: Annotated[bool, FLAG] = False,
    against: Path | None = None,
    out: Path = Path("runs/bench"),
    json: Annotated[bool, FLAG] = False,
) -> int:
    """A recipe's training step (losses, backward, optimiser) with several backends.

    Batches are generated, so no data is needed. Steps are interleaved; before that, losses and
    gradients of one step are compared in float32 from the same weights: status 1 where they
    disagree. With TROVID_MALLOC=system in the environment freed memory is not kept.

    Examples:
        trovid bench training
        trovid bench training synthvid-single-troi --seconds 20
        trovid bench training --quick

    Args:
        recipe: Name of a recipe, or a YAML file.
        backends: Of the operator; the first is what the others are held against.
        threads: torch's.
        rounds: At most so many timed steps with each backend.
        seconds: Timed steps stop after these, but not before the second round.
        quick: A small image and batch.
        against: The Python interpreter of another installation of trovid: the same work is then
            timed here and there in turns, in place of what is measured otherwise.
        out: Folder for records.
        json: Print the record as JSON in place of the table.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from trovid.benchmarks.formatting import format_machine
    from trovid.benchmarks.records import add_records
    from trovid.benchmarks.training import HEAD, TrainingSettings, run_training, training_rows
    from trovid.recipes import load_recipe

    check_timing(threads=threads, rounds=rounds, seconds=seconds)
    if against is not None:
        jobs = {f"{recipe}, training step": {"kind": "training", "recipe": recipe}}
        return _against(jobs, against, threads, rounds, seconds, out, json)
    settings = TrainingSettings(backends, threads, rounds, seconds, quick=quick)
    console = table_console(quiet=json)
    console.print(f"{recipe}, {', '.join(backends)}: about {seconds / 60 + 0.5:.1f} minutes")
    try:
        record = run_training(load_recipe(recipe), settings)
    except (ValueError, RuntimeError) as error:
        raise TrovidError(f"{recipe}: {error}") from error
    path = out / (f"quick-{TRAINING_FILE}" if quick else TRAINING_FILE)
    add_records(path, [record])
    print_figures(console, "Training steps", HEAD, training_rows([record]))
    console.print(format_machine(record["machine"]))
    console.print(f"records: {path}")
    passed = all(a["passed"] for a in record["agreement"].values())
    return _ended(0 if passed else 1, [record], path, json)


@bench.command
def report(
    *,
    out: Path = Path("runs/bench"),
    folder: Path = Path("docs/results/operator"),
    json: Annotated[bool, FLAG] = False,
) -> None:
    """The records of `trovid bench operator` as a page with a plot.

    Examples:
        trovid bench report
        trovid bench report --out runs/bench --folder docs/results/operator

    Args:
        out: Folder with the records.
        folder: Where report.json, report.md and report.png go.
        json: Print the records as JSON.
    """
    from trovid.benchmarks.operator_report import write_report
    from trovid.benchmarks.records import read_records

    records = read_records(out / OPERATOR_FILE)
    if not records:
        raise TrovidError(f"no records in {out / OPERATOR_FILE}: run `trovid bench operator`")
    write_report(records, folder)
    if json:
        print_record({"report": str(folder), "records": records})
    else:
        print(f"report: {folder}")


def _against(
    jobs: dict[str, dict[str, Any]],
    python: Path,
    threads: int,
    rounds: int,
    seconds: float,
    out: Path,
    json: bool,
) -> int:
    """Times the jobs here and in another installation in turns."""
    from trovid.benchmarks.against import HEAD, Job, against_rows, run_against
    from trovid.benchmarks.formatting import format_machine
    from trovid.benchmarks.records import add_records
    from trovid.progress import bar

    path, records = out / AGAINST_FILE, []
    with bar("measuring", unit="jobs", seconds_between_lines=0.0) as tick:
        for record in run_against(
            [Job(name, request) for name, request in jobs.items()],
            python,
            threads=threads,
            rounds=rounds,
            seconds=seconds,
        ):
            records.append(record)
            add_records(path, [record])
            tick(len(records), len(jobs), record["case"])
    console = table_console(quiet=json)
    print_figures(console, f"Fastest runs here and with {python}", HEAD, against_rows(records))
    console.print(format_machine(records[0]["machine"]))
    console.print(f"records: {path}")
    return _ended(0 if all(record["passed"] for record in records) else 1, records, path, json)


def _ended(status: int, records: list[dict[str, Any]], path: Path, json: bool) -> int:
    """The exit status; with --json the records are printed before."""
    if json:
        print_record({"status": status, "file": str(path), "records": records})
    return status
