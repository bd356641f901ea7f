"""Labels and predictions that nobody would write."""

from __future__ import annotations

import pytest

from tests.cli.fuzz.commands import DETECT, EVALUATE, MODEL, TRAIN
from tests.cli.fuzz.files import Table, try_all, try_some
from tests.cli.fuzz.hostile import change_json, change_numbers, change_predictions, damage

HOSTILE: Table = {
    "train, labels": ("data/train.json", change_json, [["train", "recipe.yaml", *TRAIN]]),
    "evaluate, data": (
        "labels.json",
        change_json,
        [["evaluate", "--data", "labels.json", *EVALUATE]],
    ),
    "evaluate, labels": (
        "labels.json",
        change_json,
        [["evaluate", "predictions.json", "--labels", "labels.json", "--out", "out/f.json"]],
    ),
    "evaluate, predictions": (
        "predictions.json",
        change_predictions,
        [["evaluate", "predictions.json", "--labels", "labels.json", "--out", "out/f.json"]],
    ),
    "evaluate, parquet": (
        "predictions.parquet",
        damage,
        [
            ["evaluate", "predictions.parquet", "--labels", "labels.json", "--out", "out/f.json"],
            ["merge", ".", "--out", "out/all.json"],
        ],
    ),
    "data check, labels": (
        "labels.json",
        change_json,
        [["data", "check", "labels.json", "--out", "out/f.json"]],
    ),
    "data convert, labels": (
        "labels.json",
        change_json,
        [
            ["data", "convert", "labels.json", "out/yolo", "--to", "yolo"],
            ["data", "convert", "labels.json", "out/cvat", "--to", "cvat"],
            ["data", "convert", "labels.json", "out/own.json", "--to", "own"],
        ],
    ),
    "data convert, predictions": (
        "predictions.json",
        change_predictions,
        [["data", "convert", "predictions.json", "out/tasks.json", "--to", "label-studio"]],
    ),
    "data split, labels": (
        "data/train.json",
        change_json,
        [["data", "split", "data/train.json", "--out", "out"]],
    ),
    "data view, labels": (
        "labels.json",
        change_json,
        [["data", "view", "labels.json", "--out", "out/labels.png"]],
    ),
    "data stats, labels": ("labels.json", change_json, [["data", "stats", "labels.json"]]),
    "compare, predictions": (
        "predictions.json",
        change_predictions,
        [["compare", "predictions.json", "predictions.json", "--labels", "labels.json"]],
    ),
    "detect, labels": (
        "labels.json",
        change_json,
        [["detect", "street.mp4", *DETECT, "--labels", "labels.json", "--end", "0.2"]],
    ),
    "detect, predictions": (
        "found.json",
        change_json,
        [["detect", "street.mp4", *DETECT, "--beside", "found.json", "--end", "0.2"]],
    ),
    "detect, resumed": (
        "out/street.json",
        change_json,
        [["detect", "street.mp4", *MODEL, "--out", "out", "--resume", "--no-video", "--no-csv"]],
    ),
    "compare, labels": (
        "labels.json",
        change_json,
        [["compare", "predictions.json", "predictions.json", "--labels", "labels.json"]],
    ),
    "data stats, own labels": (
        "own/labels.json",
        change_json,
        [["data", "stats", "own"], ["data", "convert", "own", "out/x.json", "--to", "coco-vid"]],
    ),
    "data stats, CVAT": ("cvat/annotations.xml", change_numbers, [["data", "stats", "cvat"]]),
    "data stats, YOLO": (
        "yolo/labels/train/train.txt",
        change_numbers,
        [["data", "stats", "yolo"]],
    ),
    "data stats, MOT": (
        "mot/train/MOT17-02-DPM/gt/gt.txt",
        change_numbers,
        [["data", "stats", "mot"], ["data", "check", "mot"]],
    ),
    "data check, YouTube-VIS": (
        "vis/train/instances.json",
        change_json,
        [["data", "stats", "vis"], ["data", "check", "vis"]],
    ),
}
QUICK = (
    "evaluate, labels",
    "evaluate, predictions",
    "evaluate, parquet",
    "data stats, own labels",
    "data stats, CVAT",
)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(seeds, tmp_path, name):
    try_all(HOSTILE, name, seeds, tmp_path)


@pytest.mark.parametrize("name", QUICK)
def test_some_hostile_files(seeds, tmp_path, name):
    try_some(HOSTILE, name, seeds, tmp_path)
