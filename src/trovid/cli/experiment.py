"""`trovid experiment`: makes the measured tables of the README again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from trovid.cli.messages import print_record
from trovid.cli.names import DeviceName

FLAG = Parameter(negative="")


def experiment(
    name: Literal["synthvid"] = "synthvid",
    /,
    *,
    out: Path = Path("runs"),
    seeds: int = 3,
    clips: int = 300,
    first_clip: int = 300,
    every: int = 3,
    workers: int = 2,
    device: DeviceName = "cpu",
    resamples: int = 1000,
    report: Path | None = None,
    embed: Annotated[bool, FLAG] = False,
    json: Annotated[bool, FLAG] = False,
) -> None:
    """Train the four detectors, run them and the controls over test clips, and report.

    Everything that is in OUT already (clips, weights, scored boxes) is used as it is, so the
    command can be stopped and called again. On 2 cores the whole takes about two hours.

    Examples:
        trovid experiment synthvid
        trovid experiment synthvid --seeds 1 --clips 20 --out /tmp/quick

    Args:
        name: Which experiment.
        out: Folder for data, weights, scored boxes and logs.
        seeds: Trainings of each model, seeds 0, 1, ...
        clips: Test clips.
        first_clip: Number of the first test clip; those before 300 were read while the detectors
            were made.
        every: Every how many frames a clip is evaluated.
        workers: Processes at a time, each on one core.
        device: Where to train.
        resamples: Of the bootstrap over clips.
        report: Folder of the report; by default OUT/report.
        embed: Put the weights of seed 0, with their figures, into the package.
        json: Print the figures as JSON.
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from trovid.experiments.embedding import embed_weights
    from trovid.experiments.synthvid_data import synthvid_folder
    from trovid.experiments.synthvid_jobs import (
        run_scores,
        run_trainings,
        score_jobs,
        training_records,
    )
    from trovid.experiments.synthvid_pages import write_report
    from trovid.experiments.synthvid_report import synthvid_report
    from trovid.inference.runtime.device import usable_device
    from trovid.progress import bar
    from trovid.recipes import load_recipe
    from trovid.training.provenance import commit, machine

    usable_device(device)
    train_videos = load_recipe("synthvid-start").training.videos
    data = synthvid_folder(out, train=train_videos, val=100, test=clips, first_test_clip=first_clip)
    chosen = range(seeds)
    run_trainings(out, data, chosen, workers=workers, device=device)
    jobs = score_jobs(chosen, videos=clips, val_videos=40, every=every)
    with bar("running models", unit="runs") as tick:
        run_scores(out, data, jobs, workers=workers, progress=tick)
    result = synthvid_report(out, data, jobs, resamples=resamples)
    result = {
        "commit": commit(),
        "machine": machine(),
        "every": every,
        "trainings": training_records(out, chosen),
        **result,
    }
    folder = report or out / "report"
    markdown = write_report(result, folder)
    embedded = list(map(str, embed_weights(out, result))) if embed else []
    if json:
        print_record({"report": str(folder), "embedded": embedded, **result})
        return
    Console().print(Markdown(markdown))
    print(f"report: {folder}")
    for path in embedded:
        print(f"embedded: {path}")
