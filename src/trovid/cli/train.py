"""`trovid train`: from a recipe to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from trovid.cli.messages import complain, print_record
from trovid.cli.names import BackboneName, DeviceName, RecipeName, StartName
from trovid.cli.signals import StopWish
from trovid.errors import TrovidError


def train(
    recipe: RecipeName,
    /,
    *,
    data: Path | None = None,
    out: Path = Path("runs"),
    seed: int = 0,
    start: StartName | None = None,
    backbone: BackboneName | None = None,
    validate: int = 20,
    workers: int | None = None,
    device: DeviceName = "auto",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train a detector; an interrupted training goes on where it was when called again.

    Writes OUT/RECIPE-seedN.safetensors (weights with their recipe), OUT/RECIPE-seedN.jsonl (losses,
    learning rate, seconds) and, until it ends, OUT/RECIPE-seedN.checkpoint. A recipe that starts
    from another recipe's weights trains that one first where they are not in OUT.

    Ctrl-C, SIGTERM and SIGHUP write the checkpoint after the step that is being done; a second one
    ends at once.

    Examples:
        trovid train synthvid-selsa-troi
        trovid train synthvid-single --seed 1 --out runs --data data/synthvid
        trovid train my-recipe.yaml --start runs/synthvid-start-seed0.safetensors
        trovid train paper/selsa-r50 --data ILSVRC2015 --backbone resnet50-imagenet

    Args:
        recipe: Name of a recipe, or a YAML file.
        data: Folder with train.json and val.json, or ILSVRC2015 of ImageNet VID; by default
            OUT/data, where SynthVID is written first if it is not there.
        out: Folder for weights, logs, checkpoints and resized frames.
        seed: Of initial weights, batches and sampling.
        start: Weights to begin from, in place of the recipe's own start: a file or the name of a
            model (`coco-r50-fpn`); of its classes those with the same names are taken over.
        backbone: Weights to begin the backbone with: the name of a published one
            (`resnet50-imagenet`: `trovid weights list`), or a state dict of torchvision's or timm's
            network (.safetensors or .pth).
        validate: Validation clips looked at in the end.
        workers: Processes that read frames ahead of the training; by default as many as are of use.
        device: Where to train: auto (the GPU where there is one), cpu, cuda, cuda:1, mps.
        json: Print the file and its facts as JSON.
    """
    from trovid.experiments.synthvid_data import synthvid_folder
    from trovid.inference.runtime.device import usable_device
    from trovid.recipes import load_recipe
    from trovid.training.loop import Stopped
    from trovid.training.run import train_recipe, weights_file
    from trovid.training.start import check_names
    from trovid.zoo.published import backbone_file, model_file
    from trovid.zoo.weights import read_card

    if start is not None and backbone is not None:
        raise TrovidError("the weights of --start hold a backbone: leave out --backbone or --start")
    if workers is not None and workers < 0:
        raise TrovidError(f"--workers must be at least 0, but is {workers}")
    usable_device(device)
    chosen = load_recipe(recipe)
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
        train_recipe(
            chosen,
            data=data or synthvid_folder(out, train=chosen.training.videos, val=100),
            out=out,
            seed=seed,
            start=start_file,
            backbone=backbone_path,
            validate=validate,
            workers=workers,
            device=device,
            stopping=wish.noting,
        )
    except Stopped as stopped:
        complain(str(stopped))
        return 128 + (wish.number or 0)
    if json:
        print_record(_record(file))
        return 0
    facts = read_card(file).facts
    print(f"{file}: {file.stat().st_size / 2**20:.1f} MiB, {facts['minutes']} minutes of training")
    if "val_ap50" in facts:
        print(f"AP50 on {validate} validation clips: {100 * facts['val_ap50']:.1f}")
    return 0


def _record(file: Path) -> dict[str, Any]:
    from trovid.zoo.weights import read_card

    return {"file": str(file), "facts": read_card(file).facts}
