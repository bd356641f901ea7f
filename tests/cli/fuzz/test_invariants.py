"""Each thing that must hold is missed where it does not: no case passes that cannot fail."""

from __future__ import annotations

import os
import shutil

import pytest
import torch

from tests.cli.fuzz import invariants
from tests.cli.fuzz.invariants import check, check_files, look
from trovid.storage.tensor_files import save_tensors

WORDS = ["detect", "a.mp4"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (3, "trovid: x"),
        (2, "nothing that begins with the program's name"),
        (2, "trovid: x\nTraceback (most recent call last)"),
        (2, "trovid: out of memory"),
        (0, "a\x07"),
        (0, "\x1b[31mred\x1b[0m"),
        (2, f"trovid: {'a' * 3000}"),
    ],
)
def test_what_is_said(status, said):
    check(0, "fine", WORDS)
    check(2, "trovid: no such file", WORDS)
    with pytest.raises(AssertionError):
        check(status, said, WORDS)


def test_what_is_said_to_a_terminal():
    check(0, "\x1b[2K\x1b[32m1/1\x1b[0m", WORDS, terminal=True)
    with pytest.raises(AssertionError, match="would obey"):
        check(0, "\x1b[32mclass\x1b[0m \x1b[31mred\x1b[0m", WORDS, terminal=True)
    with pytest.raises(AssertionError, match="would obey"):
        check(0, "\x1b]0;title\x07", WORDS, terminal=True)


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        (".a.0-1.partial.mp4", b""),
        ("a.json", b'{"a": NaN}'),
        ("a.csv", b"1,2\n1\n"),
        ("a.png", b"\x89PNG"),
    ],
)
def test_files_that_are_not_whole(tmp_path, name, contents):
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(AssertionError):
        check_files(tmp_path)
    if not name.startswith("."):
        check_files(tmp_path, look(tmp_path.parent, tmp_path).files)


def test_tensors_that_are_not_finite(tmp_path):
    save_tensors(tmp_path / "a.safetensors", {"a": torch.tensor([float("inf")])}, {})
    with pytest.raises(AssertionError, match="not finite"):
        check_files(tmp_path)


@pytest.mark.parametrize("place", ["x", "case/x", "case/outside/x"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_written_outside(tmp_path, place, kind):
    (tmp_path / "case/out").mkdir(parents=True)
    (tmp_path / "case/outside").mkdir()
    before = look(tmp_path, tmp_path / "case/out")
    (tmp_path / "case/out/x").touch()
    invariants.check_place(tmp_path, tmp_path / "case/out", before, "")
    (tmp_path / place).touch() if kind == "file" else (tmp_path / place).mkdir()
    with pytest.raises(AssertionError, match="outside"):
        invariants.check_place(tmp_path, tmp_path / "case/out", before, "")


def test_what_was_there_is_kept(tmp_path):
    file = tmp_path / "a.json"
    file.write_text("1")
    before = look(tmp_path.parent, tmp_path)
    invariants.check_kept(before, 2, "")
    file.write_text("2")
    invariants.check_kept(before, 0, "")
    with pytest.raises(AssertionError, match="has changed"):
        invariants.check_kept(before, 2, "")
    file.unlink()
    with pytest.raises(AssertionError, match="is lost"):
        invariants.check_kept(before, 0, "")


def test_nothing_is_new_where_nothing_was_done(tmp_path):
    before = look(tmp_path.parent, tmp_path)
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "a.npy").touch()
    invariants.check_nothing_done(tmp_path, before, ["train"], "")
    words = ["train", "--start", "x.pth"]
    invariants.check_nothing_done(tmp_path, before, words, "\n===\ntrovid: no such data\n")
    with pytest.raises(AssertionError, match="nothing was done"):
        invariants.check_nothing_done(tmp_path, before, words, "\n===\ntrovid: x.pth: no weights\n")
    shutil.rmtree(tmp_path / "frames")
    (tmp_path / "a.json").touch()
    with pytest.raises(AssertionError, match="nothing was done"):
        invariants.check_nothing_done(tmp_path, before, ["train"], "")


def test_rights_and_the_disk(tmp_path):
    before, synced = look(tmp_path.parent, tmp_path), set()
    file = tmp_path / "a"
    file.touch()
    file.chmod(0o666 & ~invariants.UMASK)
    invariants.check_modes(tmp_path, before)
    with pytest.raises(AssertionError, match="before it was on the disk"):
        invariants.check_on_disk(tmp_path, before, synced)
    with file.open() as opened:
        invariants.recording(os.fsync, synced)(opened.fileno())
    invariants.check_on_disk(tmp_path, before, synced)
    file.chmod(0o600)
    with pytest.raises(AssertionError, match="rights"):
        invariants.check_modes(tmp_path, before)
