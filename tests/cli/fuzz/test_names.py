"""Whole files under names of any characters."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.cli.fuzz.commands import BLUR, DETECT, MODEL, SEGMENT
from tests.cli.fuzz.trials import CASES, FAST_CASES, FAST_SEED, SEED, Words, case_folder, trial

STEMS = (
    *("12:30", "a:b", "concat:x", "http:x", "pipe:0", "subfile,,start,0,end,9,,:x", "%d", "%03d"),
    *(
        "[x]",
        "[red]x",
        "*",
        "?",
        " ",
        "a b",
        "-x",
        "--json",
        "\x1b[31mred",
        "\x1b]0;title\x07",
        "a\nb",
        "a\rb",
    ),
    *(
        "\u00e9\u4f60",
        "\U0001f6f8",
        "\u202e",
        "\udcff",
        "a" * 200,
        ".hidden",
        "a.b.c",
        "'",
        '"',
        "$x",
    ),
)
NAMED: dict[str, tuple[str, Words]] = {
    "info": ("street.mp4", ["info"]),
    "detect": ("street.mp4", ["detect", *DETECT]),
    "explain": ("street.mp4", ["explain", *MODEL, "--out", "out/why.png"]),
    "evaluate": (
        "predictions.json",
        ["evaluate", "--labels", "labels.json", "--out", "out/f.json"],
    ),
    "blur": ("street.mp4", ["blur", *BLUR]),
    "segment": ("street.mp4", ["segment", *SEGMENT]),
    "data stats": ("labels.json", ["data", "stats"]),
    "data view": ("labels.json", ["data", "view", "--out", "out/labels.png"]),
    "recipes": ("recipe.yaml", ["recipes", "show"]),
    "models": ("model.safetensors", ["models", "show"]),
}


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("command", NAMED)
def test_a_name_of_any_characters_is_taken(seeds, tmp_path, command):
    for number in range(CASES):
        named(command, seeds, tmp_path, random.Random(f"{SEED}:{command}:{number}"))


@pytest.mark.parametrize("command", ["info", "recipes"])
def test_some_names_of_any_characters(seeds, tmp_path, command):
    for number in range(FAST_CASES):
        named(command, seeds, tmp_path, random.Random(f"{FAST_SEED}:{command}:{number}"))


def named(command: str, seeds: Path, sandbox: Path, rng: random.Random) -> None:
    """A whole file under a name that others might not take."""
    file, words = NAMED[command]
    name = rng.choice(STEMS) + Path(file).suffix
    with case_folder(seeds, sandbox / "case") as case:
        (case / file).rename(case / name)
        place = f"./{name}" if name.startswith("-") else name
        terminal = rng.random() < 0.5
        trial([*words, "--", place], sandbox, case, refused=False, terminal=terminal)
