"""Arguments of any kind for every command."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.fuzz.commands import BLUR, DETECT, EVALUATE, MODEL, SEGMENT, TRAIN
from tests.cli.fuzz.trials import (
    CASES,
    FAST_CASES,
    FAST_SEED,
    SEED,
    Words,
    case_folder,
    run_here,
    trial,
)
from trovid.cli.main import SUMMARIES

OPTIONS = (
    *("--score", "--classes", "--support", "--nms", "--max-detections", "--start", "--end"),
    *("--stride", "--online", "--lookahead", "--no-video", "--no-csv", "--coco", "--sheet"),
    *("--timeline", "--side-by-side", "--beside", "--labels", "--overwrite", "--resume"),
    *("--frame-rate", "--device", "--precision", "--json", "--quiet", "--seq-nms", "--frame"),
    *("--time", "--box", "--position", "--every", "--videos", "--recipe", "--help", "--", "-x"),
    *(
        "--allow-playlist",
        "--seed",
        "--validate",
        "--workers",
        "--backbone",
        "--batch",
        "--size",
        "--to",
        "--split",
        "--share",
        "--partial",
        "--resamples",
        "--track",
        "--masks",
    ),
)
ARGUMENTS = (
    *("0", "1", "-1", "0.2", "5", "99999999999999999999", "nan", "inf", "-inf", "1e308", ""),
    *("uniform:2", "uniform:", "stride:2x2", "consecutive:1", "uniform:-3", "uniform:x"),
    *("cup", "cup,star", ",", "cpu", "cuda:7", "float32", "bf16", "1:30", "::", "1,2,30,40"),
    *("3,3", "street.mp4", "frames", "found.json", "labels.json", "/proc/nothing", "recipe.yaml"),
    *("\u00e9\u4f60", "\udcff", " ", "12:30.mp4", "\x1b[31m", "../../x", "model.safetensors"),
    *(
        "predictions.json",
        "data",
        "own",
        "cvat",
        "yolo",
        "mot",
        "vis",
        "iou",
        "masks.safetensors",
        "pipe:0",
        "file:street.mp4",
        "concat:a|b",
        "*",
        "[",
        "a" * 300,
        "published.pth",
    ),
)
COMMANDS: dict[str, list[Words]] = {
    **{name: [[name]] for name in SUMMARIES},
    "detect": [["detect", *DETECT]],
    "segment": [["segment", *SEGMENT]],
    "blur": [["blur", *BLUR]],
    "explain": [["explain", *MODEL, "--out", "out/why.png"]],
    "compare": [["compare", "--labels", "labels.json", "--resamples", "10"]],
    "merge": [["merge", "--out", "out/all.json"]],
    "data": [
        *(["data", action] for action in ("check", "stats")),
        ["data", "view", "--out", "out/labels.png"],
        ["data", "split", "--out", "out"],
    ],
    "models": [["models", "show"]],
    "recipes": [["recipes", "show"], ["recipes", "diff"]],
    "weights": [
        ["weights", "convert", "--out", "out/x.safetensors"],
        *(["weights", action] for action in ("download", "list", "where")),
    ],
    "verify": [["weights", "verify"]],
    "export": [["export", "--out", "out"]],
    "train": [["train", *TRAIN, "--steps", "1"]],
    "synthvid": [["synthvid", "out/clips", "--videos", "1", "--frames", "2", "--workers", "1"]],
    "demo": [["demo", "out/demo", "--clips", "0"]],
    "experiment": [["experiment", "premise", "--data", "frames", "--out", "out"]],
    "bench": [["bench", "report", "--out", "out", "--folder", "out/report"]],
}
"""Every command; those that would compute for hours begin with what they must refuse."""
PLACES = {"data": ("--sheet",)}
"""Options that name a file to write anywhere."""
FIRST = {
    "train": ["recipe.yaml"],
    "info": ["street.mp4"],
    "detect": ["street.mp4"],
    "segment": ["street.mp4"],
    "blur": ["street.mp4"],
    "explain": ["street.mp4"],
    "data": ["labels.json"],
    "compare": ["predictions.json", "predictions.json"],
    "merge": ["."],
}


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("command", COMMANDS)
def test_names_and_arguments(seeds, tmp_path, command):
    for number in range(CASES):
        with_arguments(command, seeds, tmp_path, random.Random(f"{SEED}:{command}:{number}"))


@pytest.mark.parametrize("command", ["data", "merge", "recipes", "weights"])
def test_some_names_and_arguments(seeds, tmp_path, command):
    for number in range(FAST_CASES):
        with_arguments(command, seeds, tmp_path, random.Random(f"{FAST_SEED}:{command}:{number}"))


VARIABLES: tuple[tuple[str, str], ...] = (
    *(
        ("TROVID_BACKEND", word)
        for word in ("nonsense", "triton", "native ", "\x1b[31m", "9" * 500)
    ),
    *(("TROVID_CACHE", word) for word in ("/proc/nothing", "street.mp4", "", "a\nb")),
    *(("COLUMNS", word) for word in ("0", "-5", "x", "1")),
    *(("TERM", "\x1b[31m"), ("LANG", "nonsense"), ("TMPDIR", "/proc/nothing")),
)
COMPUTING: dict[str, Words] = {
    "detect": ["detect", "street.mp4", *DETECT, "--end", "0.1"],
    "segment": ["segment", "street.mp4", *SEGMENT, "--end", "0.1"],
    "blur": ["blur", "street.mp4", *BLUR, "--end", "0.1"],
    "explain": ["explain", "street.mp4", *MODEL, "--out", "out/why.png"],
    "train": ["train", "recipe.yaml", *TRAIN],
    "evaluate": ["evaluate", "--data", "labels.json", *EVALUATE],
}
"""Commands that run the operator."""


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_variables_of_the_environment(seeds, tmp_path):
    for number in range(CASES):
        with_variables(seeds, tmp_path, random.Random(f"{SEED}:variables:{number}"))


def test_some_variables_of_the_environment(seeds, tmp_path):
    for number in range(FAST_CASES):
        rng = random.Random(f"{FAST_SEED}:variables:{number}")
        with_variables(seeds, tmp_path, rng, VARIABLES[:1])


def with_variables(
    seeds: Path,
    sandbox: Path,
    rng: random.Random,
    variables: Sequence[tuple[str, str]] = VARIABLES,
) -> None:
    """A backend that is none, or not here, is refused before anything is computed."""
    words, (name, value) = rng.choice([*COMPUTING.values()]), rng.choice(variables)
    with case_folder(seeds, sandbox / "case") as case:
        refused = True if name == "TROVID_BACKEND" else None
        trial(words, sandbox, case, refused=refused, variables={name: value})


def with_arguments(command: str, seeds: Path, sandbox: Path, rng: random.Random) -> None:
    options = [word for word in OPTIONS if word not in PLACES.get(command, ())]
    rest = rng.choices([*options, *ARGUMENTS, *ARGUMENTS], k=rng.randrange(6))
    rest = (FIRST.get(command, []) if rng.random() < 0.5 else []) + rest
    with case_folder(seeds, sandbox / "case") as case:
        trial([*rng.choice(COMMANDS[command]), *rest], sandbox, case)


def test_unknown_commands_name_the_nearest():
    for name in SUMMARIES:
        status, said = run_here(name[:-1] + "x")
        assert status == 2
        assert f"did you mean '{name}'?" in said or name[:-1] + "x" in SUMMARIES
