"""Hostile files of a kind, and the commands that read it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fuzz.hostile import Change
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
from tests.cli.fuzz.whole_files import PARQUET, VIDEOS

Table = Mapping[str, tuple[str, Change, list[Words]]]
"""By command and kind of file: the file, what changes it, and the words that read it."""
LISTS = ("list.m3u8", "street.mp4", "list.txt", "list.ts", "list.sdp", "list.mpd")
EARLIER = {
    "out/tiny-seed0.checkpoint": "stopped/tiny-seed0.checkpoint",
    "out/street.json": "found.json",
}
"""What an earlier run has left in the output folder, and where it lies."""


def try_all(table: Table, name: str, seeds: Path, place: Path, **how: Any) -> None:
    """Every case of an entry; see `try_one`."""
    for number in range(CASES):
        rng = random.Random(f"{SEED}:{name}:{number}")
        try_one(table, name, seeds, place, rng, **how)


def try_some(table: Table, name: str, seeds: Path, place: Path, **how: Any) -> None:
    """Some cases, the same each time; see `try_one`."""
    for number in range(FAST_CASES):
        rng = random.Random(f"{FAST_SEED}:{name}:{number}")
        try_one(table, name, seeds, place, rng, **how)


def try_one(
    table: Table,
    name: str,
    seeds: Path,
    sandbox: Path,
    rng: random.Random,
    seconds: float | None = None,
    shown: bool = False,
) -> None:
    """A case: a copy of the whole files, one of them changed, and the commands that read it.

    Args:
        table: What there is to try.
        name: What of it.
        seeds: The whole files.
        sandbox: A folder around the case.
        rng: Of this case.
        seconds: What a refusal may take of the processor.
        shown: Whether one of the commands is drawn, and half of them speak to a terminal.
    """
    file, change, commands = table[name]
    if file.endswith(".parquet") and not PARQUET:
        pytest.skip("the optional package pyarrow is not installed")
    chosen = {"VIDEO": rng.choice(sorted(VIDEOS)), "LIST": rng.choice(LISTS)}
    with case_folder(seeds, sandbox / "a" / "b" / "c" / "d" / "e" / "f" / "case") as case:
        path = case / chosen.get(file, file)
        if file in EARLIER:
            shutil.copy(seeds / EARLIER[file], path)
        refused = change(own_copy(path), rng)
        for words in [rng.choice(commands)] if shown else commands:
            arguments = [chosen.get(word, word) for word in words]
            must = refused and "--allow-playlist" not in words
            terminal = shown and rng.random() < 0.5
            must = True if must else None
            trial(arguments, sandbox, case, refused=must, seconds=seconds, terminal=terminal)
