"""What an earlier run has left, while something else has changed meanwhile."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.cli.fuzz.commands import BLUR, DETECT, MODEL, SEGMENT, TRAIN
from tests.cli.fuzz.trials import (
    CASES,
    FAST_CASES,
    FAST_SEED,
    SEED,
    Words,
    case_folder,
    own_copy,
    trial,
)
from trovid.storage.tensor_files import read_tensors, save_tensors

CHECKPOINT, WEIGHTS = "out/tiny-seed0.checkpoint", "out/tiny-seed0.safetensors"
RESULTS: dict[str, tuple[Words, list[str]]] = {
    "detect": (
        ["detect", "street.mp4", *DETECT, "--coco", "--sheet"],
        [
            "street.json",
            "street.mp4",
            "street.csv",
            "street.coco.json",
            "street.png",
        ],
    ),
    "segment": (["segment", "street.mp4", *SEGMENT], ["street.json", "street.mp4"]),
    "blur": (["blur", "street.mp4", *BLUR], ["street.json", "street.mp4", "street.md"]),
    "explain": (["explain", "street.mp4", *MODEL, "--out", "out/why.png"], ["why.png", "why.html"]),
    "export": (
        ["export", "model.safetensors", "--format", "torch-export", "--out", "out"],
        ["model.pt2", "model-encode.pt2"],
    ),
}
"""By command its words, and the files that it writes into the output folder."""


def exchanged(seeds: Path, case: Path, rng: random.Random) -> bool:
    """A clip of the same length, size and second, or both."""
    return _exchange(seeds, case, rng.choice([["one"], ["two"], ["one", "two"]]))


def all_exchanged(seeds: Path, case: Path, rng: random.Random) -> bool:
    """Every clip, each for one of the same length, size and second."""
    return _exchange(seeds, case, ["one", "two"])


def _exchange(seeds: Path, case: Path, names: list[str]) -> bool:
    for name in names:
        path = case / "data" / f"{name}.mp4"
        path.unlink()
        shutil.copy2(seeds / "others" / path.name, path)
    return True


def touched(seeds: Path, case: Path, rng: random.Random) -> bool:
    """Another time, the same contents."""
    for path in (case / "data").glob("*.mp4"):
        os.utime(own_copy(path), (rng.randrange(10**9), rng.randrange(10**9)))
    return False


def relabelled(seeds: Path, case: Path, rng: random.Random) -> bool:
    """A box lies elsewhere, or an object is not there."""
    path = own_copy(case / "data" / "train.json")
    document = json.loads(path.read_text())
    if rng.random() < 0.5:
        rng.choice(document["annotations"])["bbox"][0] -= rng.choice([1, 5, 0.5])
    else:
        del document["annotations"][rng.randrange(len(document["annotations"]))]
    path.write_text(json.dumps(document))
    return True


def planned(seeds: Path, case: Path, rng: random.Random) -> bool:
    """Another recipe of the same name."""
    path = own_copy(case / "longer.yaml")
    recipe = json.loads(path.read_text())
    key, value = rng.choice([("learning_rate", 0.5), ("steps", 3), ("batch", 2), ("flip", 0.25)])
    recipe["training"][key] = value
    path.write_text(json.dumps(recipe))
    return True


def forged(seeds: Path, case: Path, rng: random.Random) -> bool:
    """A checkpoint of no such step, or without its optimiser or its model."""
    path = own_copy(case / CHECKPOINT)
    tensors, metadata = read_tensors(path)
    head = json.loads(metadata["head"])
    part = rng.choice(["step", "step", "optimizer/", "optimizer/", "model/", "seconds", "seed"])
    if part.endswith("/"):
        tensors = {key: value for key, value in tensors.items() if not key.startswith(part)}
        head["tensors"] = len(tensors)
    else:
        values = [-5, -1, 10**9, 10**30, True, "1", float("nan"), *([0.5] * (part != "seconds"))]
        head[part] = rng.choice(values)
    save_tensors(path, tensors, {**metadata, "head": json.dumps(head)})
    return True


CHANGES: tuple[Callable[[Path, Path, random.Random], bool], ...] = (
    *(exchanged, touched, relabelled, planned, forged, forged),
)


def resumed(seeds: Path, sandbox: Path, rng: random.Random, change: Callable) -> None:
    """A training goes on only where all is as it was, whenever the files were written."""
    with case_folder(seeds, sandbox / "case") as case:
        shutil.copy(seeds / "stopped/tiny-seed0.checkpoint", case / CHECKPOINT)
        refused = change(seeds, case, rng)
        words, started = ["train", "longer.yaml", *TRAIN], rng.random() < 0.2
        if started:
            words += ["--start", "start.safetensors"]
        trial(words, sandbox, case, refused=refused or started)


def trained_again(seeds: Path, sandbox: Path, rng: random.Random, change: Callable) -> None:
    """Of other clips other weights, whatever frames an earlier training has left."""
    with case_folder(seeds, sandbox / "case") as case:
        shutil.copytree(seeds / "trained/frames", case / "out/frames")
        other = change(seeds, case, rng)
        trial(["train", "recipe.yaml", *TRAIN], sandbox, case, refused=False)
        (before, _), (now, _) = (
            read_tensors(path)
            for path in (seeds / "trained/tiny-seed0.safetensors", case / WEIGHTS)
        )
        same = all(torch.equal(before[key], now[key]) for key in before)
        assert same != other, (
            f"seed {SEED}: {change.__name__}: {'the same' if same else 'other'} weights"
        )


def there_already(seeds: Path, sandbox: Path, rng: random.Random, command: str) -> None:
    """Files of the names that a command writes stay as they are, for it was not told otherwise."""
    words, names = RESULTS[command]
    with case_folder(seeds, sandbox / "case") as case:
        there = rng.sample(names, rng.randint(1, len(names)))
        for name in there:
            (case / "out" / name).write_text(f"mine: {name}")
        trial(words, sandbox, case, refused=True)
        for name in there:
            assert (case / "out" / name).read_text() == f"mine: {name}", f"seed {SEED}: {name}"


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_training_goes_on_with_what_it_began_with(seeds, tmp_path):
    for number in range(CASES):
        rng = random.Random(f"{SEED}:resumed:{number}")
        resumed(seeds, tmp_path, rng, CHANGES[number % len(CHANGES)])


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_training_looks_at_the_clips_that_are_there(seeds, tmp_path):
    for number in range(CASES):
        rng = random.Random(f"{SEED}:again:{number}")
        trained_again(seeds, tmp_path, rng, [all_exchanged, touched][number % 2])


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("command", RESULTS)
def test_what_is_there_is_not_replaced(seeds, tmp_path, command):
    for number in range(CASES):
        rng = random.Random(f"{SEED}:{command}:{number}")
        there_already(seeds, tmp_path, rng, command)


def test_some_of_what_is_there_is_not_replaced(seeds, tmp_path):
    for number in range(FAST_CASES):
        rng = random.Random(f"{FAST_SEED}:explain:{number}")
        there_already(seeds, tmp_path, rng, "explain")
