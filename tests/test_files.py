"""Files appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trovid.errors import TrovidError
from trovid.files import GrowingFile, below, partial_name, replacing


def test_a_finished_file_replaces_and_a_broken_one_leaves_the_old(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as partial:
        partial.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"

    def broken():
        with replacing(path) as partial:
            partial.write_text("two")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert path.read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_growing_file_appears_when_complete(tmp_path):
    path = tmp_path / "new" / "a.txt"
    file = GrowingFile(path)
    file.write("one")
    file.finish()
    assert not path.exists()
    file.publish()
    assert path.read_text() == "one"
    other = GrowingFile(path)
    other.write("two")
    other.discard()
    assert path.read_text() == "one"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_folder_replaces_one(tmp_path):
    for text in ("one", "two"):
        with replacing(tmp_path / "clip") as partial:
            partial.mkdir()
            (partial / text).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")] == ["clip", "clip/two"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("trovid.files.partial_name", lambda path: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok: None)
    path = tmp_path / "a.txt"
    file = GrowingFile(path)
    file.write("one")
    message = f"cannot write {path}: No space left on device; free space or choose another place"
    with pytest.raises(TrovidError, match=message):
        file.finish()

    def through():
        with replacing(path) as partial:
            partial.write_text("one")

    with pytest.raises(TrovidError, match=message):
        through()


def test_a_place_that_is_none(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a.txt"
    with pytest.raises(TrovidError, match=f"cannot write {path}: {path.parent} is no folder; "):
        GrowingFile(path)
    with pytest.raises(TrovidError, match="choose another place"), replacing(path):
        pass


def test_a_name_that_is_too_long_and_a_file_in_a_folders_place(tmp_path):
    longest = tmp_path / ("n" * 250 + ".json")
    with replacing(longest) as partial:
        partial.write_text("{}")
    longest.unlink()
    longer = tmp_path / ("n" * 251 + ".json")
    with pytest.raises(TrovidError, match="File name too long"), replacing(longer) as partial:
        partial.write_text("{}")
    path = tmp_path / "a.json"
    path.write_text("old")
    refused = pytest.raises(TrovidError, match=r"cannot write .*a\.json: Not a directory")
    with refused, replacing(path) as partial:
        partial.mkdir()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "name", ["../a", "a/../../b", "/a", "", ".", "a//b", "..\\a", "C:a", "a/\x1b[31m", "a\0b"]
)
def test_a_name_that_leads_out_of_its_folder(tmp_path, name):
    with pytest.raises(TrovidError, match="leads out of") as error:
        below(tmp_path, name)
    assert str(error.value).isprintable()


KILLED = """
import os, signal, sys
from pathlib import Path
from trovid.files import GrowingFile, replacing
folder = Path(sys.argv[1])
GrowingFile(folder / "a.csv").write("half")
with replacing(folder / "clip") as partial:
    partial.mkdir()
    (partial / "0.png").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_what_a_killed_writer_left_goes_when_the_next_one_begins(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)])
    assert killed.returncode == -9
    assert len([*tmp_path.iterdir()]) == 2
    file_name = partial_name(tmp_path / "elsewhere" / "b.csv").name
    others = tmp_path / file_name.replace(str(os.getpid()), str(os.getppid()))
    elsewhere, long_ago = (tmp_path / f".{n}.elsewhere-1.partial.csv" for n in "cd")
    for path in (others, elsewhere, long_ago):
        path.touch()
    os.utime(long_ago, (0, 0))
    with replacing(tmp_path / "b.txt") as partial:
        partial.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {others.name, elsewhere.name, "b.txt"}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc tells what is open")
def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    path, order = tmp_path / "a.txt", []
    fsync = os.fsync

    def noted(number):
        order.append((os.readlink(f"/proc/self/fd/{number}"), path.exists()))
        fsync(number)

    monkeypatch.setattr(os, "fsync", noted)
    file = GrowingFile(path)
    file.write("one")
    file.finish()
    file.publish()
    assert [(".partial" in name, there) for name, there in order] == [(True, False), (False, True)]
    assert order[1][0] == str(tmp_path)
