"""Recipes, weights, published weights and checkpoints that nobody would write."""

from __future__ import annotations

import pytest

from tests.cli.fuzz.commands import CONVERT, DETECT, EVALUATE, MODEL, SEGMENT, TRAIN
from tests.cli.fuzz.files import Table, try_all, try_some
from tests.cli.fuzz.hostile import change_pickle, change_tensors, change_yaml

HOSTILE: Table = {
    "recipes show, recipe": ("recipe.yaml", change_yaml, [["recipes", "show", "recipe.yaml"]]),
    "recipes diff, recipe": (
        "recipe.yaml",
        change_yaml,
        [["recipes", "diff", "recipe.yaml", "synthvid-single"]],
    ),
    "train, recipe": ("recipe.yaml", change_yaml, [["train", "recipe.yaml", *TRAIN]]),
    "convert, recipe": ("small.yaml", change_yaml, [[*CONVERT, "small.yaml"]]),
    "convert, published": ("published.pth", change_pickle, [[*CONVERT, "small.yaml"]]),
    "train, backbone": (
        "backbone.pth",
        change_pickle,
        [["train", "small.yaml", *TRAIN, "--backbone", "backbone.pth"]],
    ),
    "train, start": (
        "start.safetensors",
        change_tensors,
        [["train", "recipe.yaml", *TRAIN, "--start", "start.safetensors"]],
    ),
    "train, checkpoint": (
        "out/tiny-seed0.checkpoint",
        change_tensors,
        [["train", "longer.yaml", *TRAIN]],
    ),
    "models show, weights": (
        "model.safetensors",
        change_tensors,
        [["models", "show", "model.safetensors"]],
    ),
    "detect, weights": (
        "model.safetensors",
        change_tensors,
        [["detect", "street.mp4", *DETECT, "--end", "0.2"]],
    ),
    "explain, weights": (
        "model.safetensors",
        change_tensors,
        [
            ["explain", "street.mp4", *MODEL, "--out", "out/why.png"],
            ["explain", "street.mp4", *MODEL, "--box", "9,9,40,40", "--out", "out/whyever.png"],
        ],
    ),
    "evaluate, weights": (
        "model.safetensors",
        change_tensors,
        [["evaluate", "--data", "labels.json", *EVALUATE]],
    ),
    "segment, weights": (
        "masks.safetensors",
        change_tensors,
        [["segment", "street.mp4", *SEGMENT, "--end", "0.2"]],
    ),
}
QUICK = ("recipes show, recipe", "recipes diff, recipe", "models show, weights")


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(seeds, tmp_path, name):
    try_all(HOSTILE, name, seeds, tmp_path)


@pytest.mark.parametrize("name", QUICK)
def test_some_hostile_files(seeds, tmp_path, name):
    try_some(HOSTILE, name, seeds, tmp_path)
