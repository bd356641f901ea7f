"""`trovid experiment`: the measured tables, each by one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from cyclopts import Parameter

from trovid.cli.messages import print_record
from trovid.cli.names import BackboneName, DeviceName, ModelName
from trovid.errors import TrovidError

FLAG = Parameter(negative="")
Name = Literal[
    "synthvid",
    "synthvid-masks",
    "table1",
    "table2",
    "training-free",
    "fig5",
    "table5",
    "table3",
    "table4",
    "table6",
    "strength",
    "unseen",
    "selsa",
    "correspondence",
    "premise",
    "recognition",
    "blur",
    "all",
]
DAVIS = ("premise", "recognition", "blur")
ORDER = tuple(name for name in get_args(Name)[2:-1] if name not in DAVIS)
"""What "all" makes, in this order."""
SYNTHVID_ALONE = (
    "synthvid-masks",
    "training-free",
    "strength",
    "unseen",
    "selsa",
    "correspondence",
)


def experiment(
    name: Name = "synthvid",
    /,
    *,
    data: Path | None = None,
    stills: Path | None = None,
    model: Annotated[tuple[ModelName, ...], FLAG] = (),
    backbone: BackboneName | None = None,
    out: Path = Path("runs"),
    seeds: int = 3,
    first_seed: int = 0,
    clips: int | None = None,
    first_clip: int | None = None,
    every: int | None = None,
    workers: int = 2,
    device: DeviceName = "cpu",
    resamples: int = 1000,
    report: Path | None = None,
    embed: Annotated[bool, FLAG] = False,
    json: Annotated[bool, FLAG] = False,
) -> None:
    """Train what a table compares, run it over test clips, and report.

    `synthvid` compares the four detectors that come with trovid; synthvid-masks compares MaskTrack
    R-CNN with and without Temporal RoI Align: masks, and identities of objects that hide each
    other; table1 to table6 and fig5 are the
    paper's; training-free is Temporal RoI Align without any training; strength goes over the
    strength of the deteriorations, unseen over conditions that training has not, selsa over data
    on which SELSA may leave more to gain; correspondence asks how often the most similar cell lies
    on the same object; all makes these one after the other. premise asks the same of real
    frames, recognition whether damaged objects of real frames are recognised better with the
    others, blur how much of the objects of real frames stays visible where `trovid blur` covers
    them.
    Every report has the paper's figures beside its own, intervals, costs, and the weights' hashes.

    Everything that is in OUT already (clips, weights, results, costs) is used as it is, so the
    command can be stopped and called again, and tables share what they have in common. On 2 cores
    `synthvid` takes about two hours, and so does a table of five rows.

    Examples:
        trovid experiment synthvid
        trovid experiment synthvid-masks
        trovid experiment table1 --out runs --workers 2
        trovid experiment table3 --seeds 1 --clips 20 --out /tmp/quick
        trovid experiment premise --data DAVIS
        trovid experiment recognition --data DAVIS --stills STILLS
        trovid experiment blur --data DAVIS --model one.safetensors
        trovid experiment table5 --data ILSVRC2015 --backbone resnet101-imagenet

    Args:
        name: Which experiment.
        data: The folder ILSVRC2015 of ImageNet VID, for the paper's recipes with ResNet-101;
            without it SynthVID, which is made. Of `premise`, `recognition` and `blur`
            the folder of DAVIS 2016.
        stills: Of `recognition`: labelled pictures of everyday things to train the attention on;
            without them there are no trained rows.
        model: Of `blur`: who looks for objects, single-frame first; may be given several times. By
            default the everyday models.
        backbone: With --data ILSVRC2015, weights to begin the backbones with: the name of published
            ones (`trovid weights list`) or a file.
        out: Folder for data, weights, results and logs.
        seeds: Trainings of each model, with as many seeds from --first-seed on.
        first_seed: The first seed.
        clips: Test clips; by default the experiment's number, 300 in most. Fewer are a try.
        first_clip: Number of the first test clip of `synthvid`, by default 300 (those before were
            read while the detectors were made), and of `synthvid-masks`, by default 2000. The
            other experiments have their own.
        every: Every how many frames is evaluated; of `synthvid` by default 3, of --data 1.
        workers: Processes at a time, each on one core.
        device: Where to train and run; cuda: all GPUs in turns.
        resamples: Of the bootstrap over clips.
        report: Folder of the report; by default OUT/report.
        embed: With `synthvid` and `synthvid-masks`: put the weights of the first seed, with their
            figures, into the package.
        json: Print the figures as JSON.
    """
    if first_seed < 0 or min(seeds, workers, resamples) < 1 or (every or 1) < 1 or (clips or 1) < 1:
        raise TrovidError(
            "--seeds, --clips, --every, --workers and --resamples must be at least 1, "
            "--first-seed at least 0"
        )
    if embed and name not in ("synthvid", "synthvid-masks"):
        raise TrovidError("--embed belongs to `trovid experiment synthvid` and synthvid-masks")
    if data is not None and name in ("synthvid", *SYNTHVID_ALONE):
        raise TrovidError(f"{name} is of SynthVID alone: leave out --data")
    if backbone is not None and (data is None or name in DAVIS):
        raise TrovidError("--backbone belongs to --data ILSVRC2015")
    if name in DAVIS and data is None:
        raise TrovidError(
            f"{name} needs --data, the folder of DAVIS 2016 (JPEGImages, Annotations)"
        )
    if stills is not None and name != "recognition":
        raise TrovidError("--stills belongs to `trovid experiment recognition`")
    if model and name != "blur":
        raise TrovidError("--model belongs to `trovid experiment blur`")
    if every is not None and name != "synthvid" and data is None:
        raise TrovidError("--every belongs to `synthvid` and to --data")

    from trovid.inference.runtime.device import usable_device

    usable_device(device)
    folder = report or out / "report"
    if name == "synthvid":
        results = {
            name: _synthvid(
                out,
                range(first_seed, first_seed + seeds),
                clips=clips or 300,
                first_clip=300 if first_clip is None else first_clip,
                every=every or 3,
                workers=workers,
                device=device,
                resamples=resamples,
                folder=folder,
                embed=embed,
            )
        }
    elif name == "synthvid-masks":
        results = {
            name: _masks(
                out,
                range(first_seed, first_seed + seeds),
                clips=clips,
                first_clip=first_clip,
                workers=workers,
                device=device,
                resamples=resamples,
                folder=folder,
                embed=embed,
            )
        }
    elif name == "premise":
        from trovid.experiments.premise import run_premise

        assert data is not None
        results = {name: run_premise(data, folder=folder, resamples=resamples)}
    elif name == "recognition":
        from trovid.experiments.recognition_report import run_recognition

        assert data is not None
        wanted = range(first_seed, first_seed + seeds)
        results = {
            name: run_recognition(
                data, stills=stills, out=out, folder=folder, seeds=wanted, resamples=resamples
            )
        }
    elif name == "blur":
        from trovid.experiments.blur import MODELS, run_blur

        assert data is not None
        results = {
            name: run_blur(
                data, models=model or MODELS, folder=folder, resamples=resamples, device=device
            )
        }
    else:
        from trovid.experiments.running import Workplace
        from trovid.zoo.published import backbone_file

        place = Workplace(
            out=out,
            data=data,
            seeds=tuple(range(first_seed, first_seed + seeds)),
            workers=workers,
            device=device,
            every=every or 1,
            backbone=None if backbone is None else backbone_file(backbone),
        )
        left = SYNTHVID_ALONE if data is not None else ()
        names = [one for one in ORDER if one not in left] if name == "all" else [name]
        results = {one: _table(one, place, clips, resamples, folder) for one in names}
    if json:
        records = {one: record for one, (record, _) in results.items()}
        print_record(records.get(name, records))
        return
    _print_pages({one: page for one, (_, page) in results.items()}, folder)
    for record, _ in results.values():
        for path in record.get("embedded", ()):
            print(f"embedded: {path}")


Result = tuple[dict[str, Any], str]
"""What is printed as JSON, and the page."""


def _print_pages(pages: dict[str, str], folder: Path) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    for page in pages.values():
        Console().print(Markdown(page))
    print(f"report: {folder}")


def _table(name: str, place: Any, clips: int | None, resamples: int, folder: Path) -> Result:
    from trovid.experiments.pages import write_experiment
    from trovid.experiments.results import experiment_result
    from trovid.experiments.running import run_experiment
    from trovid.experiments.tables import EXPERIMENTS
    from trovid.experiments.training_free import choose

    if name == "correspondence":
        from trovid.experiments.correspondence_report import run_correspondence

        return run_correspondence(place, clips=clips, resamples=resamples, folder=folder)
    if name == "training-free":
        wanted = choose(place, clips=clips, resamples=resamples, folder=folder)
    else:
        wanted = EXPERIMENTS[name]()
    if clips is not None:
        wanted = wanted.with_clips(clips)
    run_experiment(wanted, place)
    result = experiment_result(wanted, place, resamples=resamples)
    page = write_experiment(result, folder)
    return {"report": str(folder), **result}, page


def _masks(
    out: Path,
    seeds: range,
    *,
    clips: int | None,
    first_clip: int | None,
    workers: int,
    device: str,
    resamples: int,
    folder: Path,
    embed: bool,
) -> Result:
    from trovid.experiments.embedding import embed_masks
    from trovid.experiments.mask_pages import write_mask_report
    from trovid.experiments.mask_report import mask_report
    from trovid.experiments.mask_runs import CLASSES, mask_jobs, run_masks
    from trovid.training.provenance import commit, machine

    first = CLASSES.first if first_clip is None else first_clip
    jobs = mask_jobs(seeds, first=first, count=clips or CLASSES.count)
    run_masks(out, jobs, workers=workers, device=device)
    result = {
        "commit": commit(),
        "machine": machine(device),
        **mask_report(out, jobs, resamples=resamples),
    }
    markdown = write_mask_report(result, folder)
    embedded = list(map(str, embed_masks(out, result))) if embed else []
    return {"report": str(folder), "embedded": embedded, **result}, markdown


def _synthvid(
    out: Path,
    seeds: range,
    *,
    clips: int,
    first_clip: int,
    every: int,
    workers: int,
    device: str,
    resamples: int,
    folder: Path,
    embed: bool,
) -> Result:
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
    from trovid.progress import bar
    from trovid.recipes import load_recipe
    from trovid.training.provenance import commit, machine

    train_videos = load_recipe("synthvid-start").training.videos
    data = synthvid_folder(out, train=train_videos, val=100, test=clips, first_test_clip=first_clip)
    run_trainings(out, data, seeds, workers=workers, device=device)
    jobs = score_jobs(seeds, videos=clips, val_videos=40, every=every)
    with bar("running models", unit="runs") as tick:
        run_scores(out, data, jobs, workers=workers, progress=tick)
    result = synthvid_report(out, data, jobs, resamples=resamples)
    result = {
        "commit": commit(),
        "machine": machine(),
        "every": every,
        "trainings": training_records(out, seeds),
        **result,
    }
    markdown = write_report(result, folder)
    embedded = list(map(str, embed_weights(out, result))) if embed else []
    return {"report": str(folder), "embedded": embedded, **result}, markdown
