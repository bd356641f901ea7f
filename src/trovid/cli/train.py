"""`trovid train`: from a recipe to weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import TrovidError

if TYPE_CHECKING:
    from ..models.recipes import Recipe


def train(
    recipe: str,
    /,
    *,
    data: Path | None = None,
    out: Path = Path("runs"),
    seed: int = 0,
    start: Path | None = None,
    validate: Annotated[int, Parameter(help="Validation clips looked at in the end.")] = 20,
    device: str = "cpu",
) -> None:
    """Train a detector; an interrupted training goes on where it was when called again.

    Writes OUT/RECIPE-seedN.safetensors (weights with their recipe) and, until then,
    OUT/RECIPE-seedN.checkpoint. A recipe that starts from another recipe's weights trains that
    one first where they are not in OUT.

    Examples:
        trovid train synthvid-selsa-troi
        trovid train synthvid-single --seed 1 --out runs --data data/synthvid
        trovid train my-recipe.yaml --start runs/synthvid-start-seed0.safetensors

    Args:
        recipe: Name of a recipe, or a YAML file.
        data: Folder with train.json and val.json; by default OUT/data, where SynthVID is written
            first if it is not there.
        out: Folder for weights, checkpoints and resized frames.
        seed: Of initial weights, batches and sampling.
        start: Weights to begin from, in place of the recipe's own start.
        device: Where to train: cpu, cuda, cuda:1, mps.
    """
    from ..models.recipes import load_recipe

    train_recipe(
        load_recipe(recipe),
        data=data or synthvid_folder(out, videos=load_recipe(recipe).training.videos),
        out=out,
        seed=seed,
        start=start,
        validate=validate,
        device=device,
    )


def synthvid_folder(out: Path, *, videos: int, val_videos: int = 100) -> Path:
    """OUT/data with the train and val splits of SynthVID, written where they are missing."""
    from .synthvid import synthvid

    folder = out / "data"
    for split, count in (("train", videos), ("val", val_videos)):
        if not (folder / f"{split}.json").exists():
            synthvid(folder, split=split, videos=count)
    return folder


def weights_file(out: Path, name: str, seed: int) -> Path:
    """Where a training leaves its weights."""
    return out / f"{name}-seed{seed}.safetensors"


def train_recipe(
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    seed: int,
    start: Path | None,
    validate: int,
    device: str,
) -> Path:
    """Trains one recipe (and before it its start), validates it and returns its weights file."""
    from ..data.coco_vid import VideoLabels
    from ..data.loader import TrainingClips
    from ..data.transforms import FrameTransform
    from ..models.recipes import load_recipe
    from ..models.weights import save_weights
    from ..training.facts import training_facts
    from ..training.loop import Progress
    from ..training.loop import train as run
    from ..training.validation import validation_ap50
    from .progress import bar

    file = weights_file(out, recipe.name, seed)
    if file.exists():
        print(f"{file} is there already: delete it to train again")
        return file
    if start is None and recipe.training.start is not None:
        start = train_recipe(
            load_recipe(recipe.training.start),
            data=data,
            out=out,
            seed=seed,
            start=None,
            validate=validate,
            device=device,
        )
    image = recipe.image
    labels = VideoLabels.from_json(data / "train.json")
    if labels.class_names != recipe.model.classes:
        raise TrovidError(f"{data / 'train.json'} has other classes than recipe {recipe.name}")
    transform = FrameTransform(image.shorter, image.longer, divisor=image.divisor)
    with bar("resizing clips", unit="clips") as tick:
        clips = TrainingClips(
            labels, transform, cache=out / "frames", videos=recipe.training.videos, progress=tick
        )
    with bar(f"{recipe.name} seed {seed}", unit="steps") as tick:

        def report(progress: Progress) -> None:
            losses = "  ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
            tick(progress.step, progress.steps, losses)

        detector, seconds = run(
            recipe,
            clips,
            seed=seed,
            checkpoint=file.with_suffix(".checkpoint"),
            start=start,
            device=device,
            report=report,
        )
    facts = training_facts(seed=seed, seconds=seconds, device=device)
    if validate:
        val = VideoLabels.from_json(data / "val.json")
        with bar("validation", unit="clips") as tick:
            facts["val_ap50"] = validation_ap50(
                detector, recipe, val, videos=validate, device=device, progress=tick
            )
        print(f"AP50 on {validate} validation clips: {100 * facts['val_ap50']:.1f}")
    save_weights(file, detector, recipe, facts=facts)
    file.with_suffix(".checkpoint").unlink(missing_ok=True)
    print(f"{file} ({file.stat().st_size / 2**20:.1f} MiB, {seconds / 60:.1f} minutes)")
    return file
