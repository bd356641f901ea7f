"""`trovid train`: from a recipe to weights."""

from __future__ import annotations

import dataclasses
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from trovid.cli.messages import complain, print_record, say
from trovid.cli.names import BackboneName, DeviceName, RecipeName, StartName
from trovid.cli.signals import StopWish
from trovid.errors import TrovidError
from trovid.progress import QUIET_VARIABLE

if TYPE_CHECKING:
    import torch

    from trovid.recipes import Recipe

log = logging.getLogger("trovid")


def train(
    recipe: RecipeName | None = None,
    /,
    *,
    data: Path | None = None,
    classes: str | None = None,
    steps: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    set: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    out: Path = Path("runs"),
    seed: int = 0,
    start: StartName | None = None,
    backbone: BackboneName | None = None,
    validate: int = 20,
    workers: int | None = None,
    device: DeviceName = "auto",
    tracker: Literal["tensorboard", "wandb", "trackio"] | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train a detector; an interrupted training goes on where it was when called again.

    With --data alone the recipe is `own`: the classes are those of the data, and it begins with the
    best weights at hand, by default those of everyday things; `own-small` is smaller, for drawings.
    The data are looked at first (`trovid data check`): an error stops the training before it
    begins. Where no videos are named for validation, some of the others are taken.

    Writes OUT/RECIPE-seedN.safetensors (weights with their recipe), OUT/RECIPE-seedN.jsonl (losses,
    learning rate, seconds, validations), OUT/RECIPE-seedN.png (the curves), with validations on the
    way OUT/RECIPE-seedN.best.safetensors (that of an earlier training gets another name) and,
    until it ends, OUT/RECIPE-seedN.checkpoint. A recipe that starts from another recipe's weights
    trains that one first where they are not in OUT.

    Started by torchrun, the processes share each step's clips (DistributedDataParallel); an
    interrupted training may go on with another number of them.

    Ctrl-C, SIGTERM and SIGHUP write the checkpoint after the step that is being done; a second one
    ends at once.

    Examples:
        trovid train --data my-videos
        trovid train --data my-videos --steps 3000 --set image.shorter=256
        trovid train own-small --data my-drawings
        trovid train synthvid-selsa-troi
        trovid train synthvid-single --seed 1 --out runs --data data/synthvid
        trovid train my-recipe.yaml --start runs/synthvid-start-seed0.safetensors
        trovid train paper/selsa-r50 --data ILSVRC2015 --backbone resnet50-imagenet
        torchrun --nproc-per-node 4 -m trovid train --data my-videos
        trovid train paper/selsa-troi-r101 --batch 2 --dry-run

    Args:
        recipe: Name of a recipe, or a YAML file; `own` where --data alone is given.
        data: Labelled videos in any format that trovid reads, such as a folder of videos with
            labels.json; by default OUT/data, where SynthVID is written first if it is not there.
        classes: Names of the classes to train, with commas between them, or `all` for those of the
            data; by default the recipe's.
        steps: Steps of the training, in place of the recipe's.
        batch: Clips of a step, in place of the recipe's.
        lr: Learning rate, in place of the recipe's.
        set: Any value of the recipe (`trovid recipes show`): KEY=VALUE, such as model.rpn.nms=0.6,
            or a part of it, training.camera=null; may be given several times.
        out: Folder for weights, logs, checkpoints and resized frames.
        seed: Of initial weights, batches and sampling.
        start: Weights to begin from, in place of the recipe's own start: a file or the name of a
            model (`coco-r50-fpn`); of its classes those with the same names are taken over.
        backbone: Weights to begin the backbone with: the name of a published one
            (`resnet50-imagenet`: `trovid weights list`), or a state dict of torchvision's or timm's
            network (.safetensors or .pth).
        validate: Validation clips looked at, at most; 0 for none.
        workers: Processes that read frames ahead of the training; by default as many as are of use.
        device: Where to train: auto (the GPU where there is one), cpu, cuda, cuda:1, mps.
        tracker: Send losses and validations to TensorBoard (OUT/tensorboard), Weights & Biases or
            Trackio too, where that is installed.
        dry_run: Do one step on made-up frames of the recipe's size, which needs no data, tell its
            time and memory, and leave nothing.
        json: Print the file and its provenance (`facts`) as JSON; of a dry run what it took.
    """
    from trovid.experiments.synthvid_data import synthvid_folder
    from trovid.inference.runtime.device import usable_device
    from trovid.recipes import changed_recipe, load_recipe, parse_changes
    from trovid.recipes.synthvid import CLIPS
    from trovid.training.loop import Stopped
    from trovid.training.processes import started_processes
    from trovid.training.run import best_file, train_recipe, weights_file
    from trovid.training.start import check_names
    from trovid.zoo.published import backbone_file, model_file
    from trovid.zoo.weights import read_card

    if start is not None and backbone is not None:
        raise TrovidError("the weights of --start hold a backbone: leave out --backbone or --start")
    if workers is not None and workers < 0:
        raise TrovidError(f"--workers must be at least 0, but is {workers}")
    if validate < 0:
        raise TrovidError(f"--validate must be at least 0, but is {validate}")
    place = usable_device(device)
    if place.type == "cuda" and os.environ.get("LOCAL_RANK"):
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        place = usable_device(device)
    if recipe is None and data is None and not dry_run:
        raise TrovidError("name a RECIPE (`trovid recipes`), or --data with your labelled videos")
    short = {"training.steps": steps, "training.batch": batch, "training.learning_rate": lr}
    changes = {key: value for key, value in short.items() if value is not None}
    chosen = changed_recipe(load_recipe(recipe or "own"), {**parse_changes(set), **changes})
    if dry_run:
        if data is not None or start is not None or backbone is not None:
            raise TrovidError("--dry-run takes made-up frames and random weights: give it no data")
        return _dry_run(chosen, seed=seed, device=device, place=place, as_json=json)
    if chosen.training.own_data and data is None:
        raise TrovidError(f"recipe {chosen.name} is for your own videos: give --data")
    file = weights_file(out, chosen.name, seed)
    if file.exists():
        if json:
            print_record(_record(file))
        else:
            print(f"{file} is there already: delete it to train again")
        return 0
    check_names(chosen, start=None if start is None else str(start), backbone=backbone)
    start_file = None if start is None else model_file(start)
    backbone_path = None if backbone is None else backbone_file(backbone)
    wish = StopWish()
    try:
        with started_processes(place) as processes:
            if data is None and processes.first:
                data = synthvid_folder(out, train=chosen.training.videos or CLIPS, val=100)
            processes.wait()
            train_recipe(
                chosen,
                data=data or out / "data",
                out=out,
                seed=seed,
                start=start_file,
                backbone=backbone_path,
                classes=None if classes is None else [name.strip() for name in classes.split(",")],
                validate=validate,
                workers=workers,
                device=device,
                stopping=wish.noting,
                say=_tell if processes.first else log.debug,
                processes=processes,
                tracker=tracker,
            )
    except Stopped as stopped:
        if processes.first:
            complain(str(stopped))
        return 128 + (wish.number or 15)
    if not processes.first:
        return 0
    if json:
        print_record(_record(file))
        return 0
    provenance = read_card(file).provenance
    size, minutes = file.stat().st_size / 2**20, provenance["minutes"]
    print(f"{file}: {size:.1f} MiB, {minutes} minutes of training")
    if "val_ap50" in provenance:
        clips = provenance["val_clips"]
        print(f"AP50 on {clips} validation clips: {100 * provenance['val_ap50']:.1f}")
    if "score_threshold" in provenance:
        print(
            f"best F1 on them: {100 * provenance['val_f1']:.1f} from score "
            f"{provenance['score_threshold']:.2f} on, which `trovid detect` takes"
        )
    best = best_file(file)
    told = read_card(best).provenance if best.exists() else {}
    if told.get("val_ap50", 0) > provenance.get("val_ap50", 0):
        after = f" after step {told['step']}" if "step" in told else ""
        print(f"{best}: better, AP50 {100 * told['val_ap50']:.1f}{after}")
    print(f"losses: {file.with_suffix('.jsonl')}, {file.with_suffix('.png')}")
    return 0


def _dry_run(recipe: Recipe, *, seed: int, device: str, place: torch.device, as_json: bool) -> int:
    from trovid.training.dry_run import dry_run
    from trovid.training.processes import started_processes

    with started_processes(place) as processes:
        say = _tell if processes.first else log.debug
        found = dry_run(recipe, seed=seed, device=device, say=say, processes=processes)
    if processes.first and as_json:
        print_record(dataclasses.asdict(found))
    elif processes.first:
        print(f"{recipe.name}: {found}")
    return 0


def _tell(message: str) -> None:
    """A line on stderr, unless only what went wrong is wanted."""
    if not os.environ.get(QUIET_VARIABLE) or message.startswith("error"):
        say(message)


def _record(file: Path) -> dict[str, Any]:
    from trovid.zoo.weights import read_card

    return {"file": str(file), "facts": read_card(file).provenance}
