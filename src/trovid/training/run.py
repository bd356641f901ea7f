"""One training from beginning to end: start, clips, loop, validation, weights file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError
from trovid.files import below
from trovid.inference.runtime.backend import check_backend
from trovid.inference.runtime.device import usable_device
from trovid.progress import bar
from trovid.recipes import Recipe, TorchvisionModelRecipe, load_recipe
from trovid.storage.hashes import sha256_of
from trovid.training.clips import TrainingClips
from trovid.training.loader import usual_workers
from trovid.training.log import TrainingLog
from trovid.training.loop import Progress, Stopping, never, train
from trovid.training.provenance import provenance
from trovid.training.start import initial_detector
from trovid.training.validation import validation_ap50
from trovid.video.transforms import make_transform
from trovid.zoo.weights import load_weights, save_weights


def weights_file(out: Path, name: str, seed: int) -> Path:
    """Where a training leaves its weights.

    Raises:
        TrovidError: If the recipe's name leads out of the folder.
    """
    return below(out, f"{name}-seed{seed}.safetensors")


def train_recipe(
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    seed: int,
    start: Path | None = None,
    backbone: Path | None = None,
    validate: int = 20,
    workers: int | None = None,
    device: str = "auto",
    stopping: Stopping = never,
) -> Path:
    """Trains a recipe, and before it the recipe that it starts from.

    What is there already is not made again; an interrupted training goes on from its checkpoint.
    Losses and learning rate go to a log beside the weights (`TrainingLog`).

    Args:
        recipe: The recipe.
        data: Folder with train.json and val.json, or ImageNet VID's (see `read_dataset`).
        out: Folder for weights, logs, checkpoints and resized frames.
        seed: Of weights, batches and sampling.
        start: Weights to begin from, in place of the recipe's own start.
        backbone: A network's weights to begin the backbone with (`start_backbone`); where the
            recipe starts from another one, that one's.
        validate: Validation clips looked at in the end; 0 for none.
        workers: Processes that read frames ahead; None for as many as are of use
            (`usual_workers`). The result is the same.
        device: Where to train; "auto": on the GPU where there is one.
        stopping: See `train`.

    Returns:
        The weights file.

    Raises:
        Stopped: See `train`.
        TrovidError: If the data's classes are not the recipe's, or a checkpoint does not fit.
    """
    file = weights_file(out, recipe.name, seed)
    if file.exists():
        return file
    device = str(usable_device(device))
    check_backend(device)
    if start is None and recipe.training.start is not None:
        start = train_recipe(
            load_recipe(recipe.training.start),
            data=data,
            out=out,
            seed=seed,
            backbone=backbone,
            validate=validate,
            workers=workers,
            device=device,
            stopping=stopping,
        )
        backbone = None
    if start is not None or backbone is not None:  # what does not fit is said before the work
        initial_detector(recipe, seed=seed, start=start, backbone=backbone)
    clips = _clips(recipe, data, out / "frames")
    checkpoint = file.with_suffix(".checkpoint")
    log = TrainingLog(file.with_suffix(".jsonl"))
    with bar(f"{recipe.name} seed {seed}", unit="steps") as tick:

        def report(progress: Progress) -> None:
            log.add(progress)
            losses = "  ".join(f"{name} {value:.3f}" for name, value in log.losses.items())
            tick(progress.step, progress.steps, losses)

        trained = train(
            recipe,
            clips,
            seed=seed,
            checkpoint=checkpoint,
            start=start,
            backbone=backbone,
            workers=usual_workers(clips) if workers is None else workers,
            device=device,
            report=report,
            stopping=stopping,
        )
    facts = provenance(seed=seed, seconds=trained.seconds, device=device)
    facts["precision"] = trained.precision
    facts["data"] = clips.dataset.info
    if backbone is not None:
        facts["backbone"] = {"source": backbone.name, "sha256": sha256_of(backbone)}
    if validate:
        val = read_dataset(data, split="val")
        with bar("validation", unit="clips") as tick:
            facts["val_ap50"] = validation_ap50(
                trained.detector, recipe, val, videos=validate, device=device, progress=tick
            )
    save_weights(file, trained.detector, recipe, facts=facts)
    load_weights(file)  # what cannot be read back is no end of a training
    checkpoint.unlink(missing_ok=True)
    return file


def _clips(recipe: Recipe, data: Path, cache: Path) -> TrainingClips:
    """The training clips of a recipe.

    Raises:
        TrovidError: If the data's classes are not the recipe's.
    """
    with bar("reading labels", unit="videos") as tick:
        dataset = read_dataset(data, split="train", progress=tick)
    if dataset.class_names != recipe.model.classes:
        raise TrovidError(f"{data}: the labels have other classes than recipe {recipe.name}")
    transform = make_transform(**dataclasses.asdict(recipe.image))
    with bar("resizing clips", unit="clips") as tick:
        return TrainingClips(
            dataset,
            transform,
            cache=cache,
            videos=recipe.training.videos,
            masks=_trains_masks(recipe),
            progress=tick,
        )


def _trains_masks(recipe: Recipe) -> bool:
    model = recipe.model
    if isinstance(model, TorchvisionModelRecipe):
        return model.masks
    return model.mask_head is not None
