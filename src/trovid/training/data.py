"""The labelled videos of a training: checked, divided, and of the recipe's classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trovid.datasets.check import check_data
from trovid.datasets.contract import Dataset
from trovid.datasets.reading import division, format_of, read_split, splits_of
from trovid.datasets.splitting import split_videos
from trovid.errors import TrovidError, nearest
from trovid.progress import bar
from trovid.recipes import Recipe, TorchvisionModelRecipe
from trovid.zoo.published import cache_folder

ALL_CLASSES = "all"
SHOWN_ERRORS = 20
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a training learns from and is measured on.

    Attributes:
        recipe: The recipe, with the classes that are trained.
        train: Videos to learn from.
        val: Videos to measure on; None where there are none, or none are wanted.
    """

    recipe: Recipe
    train: Dataset
    val: Dataset | None


def training_data(
    recipe: Recipe,
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    validation: bool = True,
    say: Say,
) -> TrainingData:
    """Checks and reads the data of a training.

    Args:
        recipe: What is trained.
        path: A file of labels or a folder (`read_dataset`).
        classes: Names of the classes to train, ("all",) for those of the data; None for the
            recipe's, which with `training.own_data` are the data's.
        validation: Whether validation videos are wanted; where no split names them, some of the
            others are taken (`split_videos`), and that is said.
        say: Is told what is worth a line.

    Raises:
        TrovidError: If something is wrong with the data (each error was said), or the classes are
            not the recipe's.
    """
    check(path, splits=("train", "val") if validation else ("train",), say=say)
    there = splits_of(path)
    val: Dataset | None = None
    with bar("reading labels", unit="videos") as tick:
        train = read_split(path, "train" if there else None, progress=tick)
        if validation and "val" in there:
            val = read_split(path, "val")
    if validation and val is None:
        names, held_out = split_videos(train)
        if held_out:
            say(division(path, names, held_out))
            train, val = train.subset(names), train.subset(held_out)
        else:
            say(f"{path}: no video can be spared for validation: the training is not measured")
    chosen = _classes(recipe, train.class_names, classes, path)
    if chosen != train.class_names:
        train = train.subset(classes=chosen)
    if val is not None and val.class_names != chosen:
        val = val.subset(classes=chosen)
    if chosen != recipe.model.classes:
        recipe = _with_classes(recipe, chosen)
    return TrainingData(recipe, train, val)


def _with_classes(recipe: Recipe, classes: tuple[str, ...]) -> Recipe:
    """A recipe of other classes; torchvision's labels without a class go with the former ones."""
    model = replace(recipe.model, classes=classes)
    if isinstance(model, TorchvisionModelRecipe):
        model = replace(model, unused=())
    return replace(recipe, model=model)


def trains_masks(recipe: Recipe) -> bool:
    """Whether a recipe learns from the objects' masks too."""
    model = recipe.model
    if isinstance(model, TorchvisionModelRecipe):
        return model.masks
    return model.mask_head is not None


def trains_identities(recipe: Recipe) -> bool:
    """Whether a recipe learns which object of other frames an object is."""
    model = recipe.model
    return not isinstance(model, TorchvisionModelRecipe) and model.track_head is not None


def check(path: Path, *, splits: Sequence[str], say: Say) -> None:
    """Looks for what is wrong with the data of a training (`check_data`); warnings are said.

    Raises:
        TrovidError: If there is an error; all of them were said.
    """
    format_of(path)
    with bar("checking data", unit="videos") as tick:
        report = check_data(path, splits=splits, cache=cache_folder() / "checks", progress=tick)
    for finding in report.findings:
        if finding.name != "no-val":
            say(str(finding))
    errors = report.errors
    if errors:
        kinds = ", ".join(dict.fromkeys(error.name for error in errors))
        raise TrovidError(
            f"{path}: the data are wrong in {len(errors)} ways ({kinds}), nothing was trained: "
            f"correct them; `trovid data check {path} --sheet labels.png` shows more"
        )


def _classes(
    recipe: Recipe, known: tuple[str, ...], classes: Sequence[str] | None, path: Path
) -> tuple[str, ...]:
    recipe_classes = recipe.model.classes
    if classes is None:
        if recipe.training.own_data:
            return known
        if known == recipe_classes:
            return recipe_classes
        if sorted(known) == sorted(recipe_classes):
            return recipe_classes
        lacking = [name for name in recipe_classes if name not in known]
        missing = f"{lacking[0]!r} is missing{nearest(lacking[0], known)}; " if lacking else ""
        raise TrovidError(
            f"{path}: the labels have other classes than recipe {recipe.name}: {missing}train "
            f"those of the labels (`classes` {ALL_CLASSES}) or some of them (`classes` "
            f"{','.join(known[:2])})"
        )
    if tuple(classes) == (ALL_CLASSES,):
        return known
    for name in classes:
        if name not in known:
            raise TrovidError(f"{path}: `classes` {name!r} is not labelled{nearest(name, known)}")
    return tuple(dict.fromkeys(classes))
