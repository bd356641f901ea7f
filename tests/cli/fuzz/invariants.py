"""What must hold after every command, whatever it was given."""

from __future__ import annotations

import csv
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import torch

from tests.cli.fuzz.lies import OBEYED
from trovid.storage.tensor_files import read_tensors
from trovid.video.opening import open_video

UMASK = 0o027
"""Of every case: what trovid writes is for the group too, and not for others."""
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""What a terminal may take for a command."""
COLOURS = r"\x1b\[[0-9;?]*[A-Za-z]"
RESUMABLE = ("frames", "cache")
"""Folders of what is computed on the way and of use to the next run."""
GROWING = (".jsonl",)
"""Endings of what is written line by line under its name."""
NOTHING_DONE = 2
Words = list[str]


def check(status: object, said: str, words: Words, *, terminal: bool = False) -> None:
    """What a command says, and how it ends.

    Args:
        status: Its exit status.
        said: Everything.
        words: After `trovid`.
        terminal: Whether it was said to a terminal, on which tables and bars have colours and move.
    """
    plain = re.sub(COLOURS, "", said) if terminal else said
    line = f"trovid {' '.join(words)}\n{plain[:3000]}"
    assert status in (0, 1, NOTHING_DONE), line
    assert "Traceback" not in said, line
    assert "out of memory" not in said, line
    others = [text for text in OBEYED if CONTROLS.search(text) and text in said]
    assert not others, f"a terminal would obey {line!a}"
    assert not CONTROLS.search(plain), f"a terminal would obey {line!a}"
    complaints = [text for text in plain.splitlines() if text.startswith("trovid: ")]
    found = words[0] == "info" and status == 1 and "\n  damage" in said
    found |= words[:2] == ["data", "check"] and status == 1 and "errors, " in said
    assert complaints or found or status == 0, line
    assert all(len(text) < 3000 for text in complaints), line


@dataclass(frozen=True)
class Before:
    """What was there before a command.

    Attributes:
        outside: Of every file and folder that is not in the output folder, size and time.
        files: Those in the output folder with their contents.
    """

    outside: Mapping[str, tuple[int, int]]
    files: Mapping[Path, bytes]


def look(sandbox: Path, out: Path) -> Before:
    """What is there now."""
    files = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} if out.exists() else {}
    return Before(dict(_outside(sandbox, out)), files)


def _outside(sandbox: Path, out: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for path in sandbox.rglob("*"):
        if path != out and out not in path.parents:
            seen = path.lstat()
            folder = stat.S_ISDIR(seen.st_mode)
            yield str(path), (0, 0) if folder else (seen.st_size, seen.st_mtime_ns)


def check_place(sandbox: Path, out: Path, before: Before, line: str) -> None:
    """Nothing has changed outside the output folder."""
    now = dict(_outside(sandbox, out))
    changed = {
        name for name in {*now, *before.outside} if now.get(name) != before.outside.get(name)
    }
    assert not changed, f"outside {out}: {sorted(changed)}: {line}"


def check_kept(before: Before, status: object, line: str) -> None:
    """What was there is still there, and as it was where nothing was done."""
    for path, contents in before.files.items():
        ended = status == 0 and path.with_suffix(".safetensors").exists()  # a training's checkpoint
        assert path.exists() or ended, f"{path} is lost: {line}"
        if status == NOTHING_DONE and path.suffix not in GROWING:
            assert path.read_bytes() == contents, f"{path} has changed: {line}"


def check_nothing_done(out: Path, before: Before, words: Words, said: str) -> None:
    """Where nothing was done nothing is new, but what the next run can use.

    A start that does not fit is seen before even that is computed: it is what the last line names.
    """
    new = [p for p in out.rglob("*") if p.is_file() and p not in before.files]
    signs = ("trovid: step ", " steps  rpn_objectness", "stdout cannot be written")
    begun = any(sign in said for sign in signs)
    starts = [word for option, word in pairwise(words) if option in ("--start", "--backbone")]
    reason = said.strip().rpartition("\n")[2]
    usable = () if any(word in reason for word in starts if word) else RESUMABLE
    left = [p for p in new if p.relative_to(out).parts[0] not in usable]
    assert begun or not left, f"{left} though nothing was done: trovid {' '.join(words)}\n{said}"


def check_modes(out: Path, before: Before) -> None:
    """What is new has the rights that the umask leaves."""
    for path in out.rglob("*") if out.exists() else ():
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_file() and path not in before.files:
            assert mode == 0o666 & ~UMASK, f"{path} has the rights {mode:o}"


def check_on_disk(out: Path, before: Before, synced: set[int]) -> None:
    """What is new under its name has reached the disk first."""
    for path in out.rglob("*") if out.exists() else ():
        if path.is_file() and path not in before.files and path.suffix not in GROWING:
            assert path.stat().st_ino in synced, f"{path} had its name before it was on the disk"


def recording(fsync: Any, synced: set[int]) -> Any:
    """`os.fsync`, which notes what it was called for."""

    def noting(number: int) -> None:
        fsync(number)
        synced.add(os.fstat(number).st_ino)

    return noting


def check_files(
    out: Path, kept: Mapping[Path, bytes] | None = None, *, cut_short: bool = False
) -> None:
    """Nothing hidden is left, and what has a name is whole, unless it was here before.

    Of a `blur` that a signal has `cut_short` while it covers, the video ends before its labels do.
    """
    frames, there = {}, sorted(out.rglob("*")) if out.exists() else []
    for path in there:
        assert ".partial" not in path.name, f"{path} is left behind"
    new = [p for p in there if p.is_file() and p.read_bytes() != (kept or {}).get(p)]
    for path in new:
        if path.suffix == ".json":
            document = json.loads(path.read_text(), parse_constant=_no_number)
            if isinstance(document, dict) and {"head", "videos"} <= document.keys():
                frames[path.stem] = sum(len(record["frames"]) for record in document["videos"])
        elif path.suffix == ".csv":
            assert len({len(row) for row in csv.reader(path.open(newline=""))}) == 1
        elif path.suffix == ".png":
            assert path.read_bytes().endswith(b"IEND\xaeB`\x82")
        elif path.suffix in (".safetensors", ".checkpoint"):
            for key, value in read_tensors(path)[0].items():
                assert torch.isfinite(value).all(), f"{path}: {key} is not finite"
    for path in (path for path in new if path.suffix == ".mp4"):
        with open_video(path) as reader:
            count, stated = len(reader), frames[path.stem]
            assert 0 < count <= stated if cut_short else count == stated, f"{path}: {count}"
            assert reader.problems == [], f"{path}: {reader.problems}"


def _no_number(word: str) -> NoReturn:
    raise AssertionError(f"{word} is no number of JSON")
