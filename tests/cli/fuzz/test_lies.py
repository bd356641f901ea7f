"""Names that lead elsewhere or command a terminal, and sizes that are not there."""

from __future__ import annotations

import pytest

from tests.cli.fuzz.commands import DETECT, EVALUATE, MODEL, TRAIN
from tests.cli.fuzz.files import Table, try_all, try_some
from tests.cli.fuzz.lies import change_names, change_sizes, change_values

NAMES: Table = {
    "train, names in labels": ("data/train.json", change_names, [["train", "recipe.yaml", *TRAIN]]),
    "train, names in a recipe": ("recipe.yaml", change_names, [["train", "recipe.yaml", *TRAIN]]),
    "data, names in labels": (
        "labels.json",
        change_names,
        [
            ["data", "stats", "labels.json"],
            ["data", "convert", "labels.json", "out/yolo", "--to", "yolo"],
            ["data", "convert", "labels.json", "out/cvat", "--to", "cvat"],
        ],
    ),
    "data check, names in labels": (
        "labels.json",
        change_names,
        [["data", "check", "labels.json"]],
    ),
    "data, names in own labels": (
        "own/labels.json",
        change_names,
        [["data", "stats", "own"], ["data", "convert", "own", "out/yolo", "--to", "yolo"]],
    ),
    "evaluate, names in predictions": (
        "predictions.json",
        change_names,
        [
            ["evaluate", "predictions.json", "--labels", "labels.json", "--out", "out/f.json"],
            ["data", "convert", "predictions.json", "out/tasks.json", "--to", "label-studio"],
        ],
    ),
    "models, names in weights": (
        "model.safetensors",
        change_names,
        [
            ["models", "show", "model.safetensors"],
            ["detect", "street.mp4", *DETECT, "--end", "0.1", "--coco"],
        ],
    ),
}
VALUES: Table = {
    "train, values of a start": (
        "start.safetensors",
        change_values,
        [["train", "recipe.yaml", *TRAIN, "--start", "start.safetensors"]],
    ),
    "detect, values of weights": (
        "model.safetensors",
        change_values,
        [["detect", "street.mp4", *DETECT, "--end", "0.2"]],
    ),
}
SIZES: Table = {
    "train, sizes in labels": ("data/train.json", change_sizes, [["train", "recipe.yaml", *TRAIN]]),
    "data check, sizes in labels": (
        "labels.json",
        change_sizes,
        [["data", "check", "labels.json"]],
    ),
    "evaluate, sizes in labels": (
        "labels.json",
        change_sizes,
        [["evaluate", "--data", "labels.json", *EVALUATE]],
    ),
    "detect, sizes of tensors": (
        "model.safetensors",
        change_sizes,
        [
            ["models", "show", "model.safetensors"],
            ["explain", "street.mp4", *MODEL, "--out", "out/x.png"],
        ],
    ),
    "detect, sizes of images": ("frames/2.png", change_sizes, [["detect", "frames", *DETECT]]),
}
SECONDS = 10
"""Of the processor, with what is imported for it; the refusal itself takes less than one."""


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", NAMES)
def test_names(seeds, tmp_path, name):
    try_all(NAMES, name, seeds, tmp_path, shown=True)


@pytest.mark.parametrize("name", ["data, names in labels", "data, names in own labels"])
def test_some_names(seeds, tmp_path, name):
    try_some(NAMES, name, seeds, tmp_path, shown=True)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", VALUES)
def test_values(seeds, tmp_path, name):
    try_all(VALUES, name, seeds, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", SIZES)
def test_sizes(seeds, tmp_path, name):
    try_all(SIZES, name, seeds, tmp_path, seconds=SECONDS)


@pytest.mark.parametrize("name", ["data check, sizes in labels"])
def test_some_sizes(seeds, tmp_path, name):
    try_some(SIZES, name, seeds, tmp_path, seconds=SECONDS)
