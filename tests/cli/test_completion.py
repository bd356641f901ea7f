"""`trovid completion`: what a real shell offers for a beginning."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.cli.command import trovid_command
from trovid.cli import names
from trovid.cli.main import SUMMARIES
from trovid.recipes import recipe_names
from trovid.zoo.registry import backbone_checkpoints, checkpoints
from trovid.zoo.weights import embedded_models

EMBEDDED = {"synthvid-selsa", "synthvid-selsa-troi"}

TAB = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_trovid
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    return tmp_path_factory.mktemp("completion") / "shell" / "trovid"


@pytest.fixture(scope="module")
def trovid(tmp_path_factory):
    """The command as a shell finds it, run by this Python."""
    file = tmp_path_factory.mktemp("bin") / "trovid"
    file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trovid "$@"\n')
    file.chmod(0o755)
    return file


def slow(words: list[str], offered: set[str]):
    return pytest.param(words, offered, marks=pytest.mark.slow)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["exp"], {"explain", "export", "experiment"}),
        (["detect", "--look"], {"--lookahead"}),
        (["detect", "--precision", "b"], {"bf16"}),
        (["detect", "str"], {"street.mp4"}),
        slow(["detect", "x.mp4", "--out", "str"], {"street.mp4"}),
        (["info", "str"], {"street.mp4"}),
        slow(["explain", "str"], {"street.mp4"}),
        slow(["models", "s"], {"show"}),
        (["detect", "x.mp4", "--model", "synthvid-selsa"], EMBEDDED),
        (["detect", "--quiet", "--model", "mi"], {"mine.safetensors"}),
        (["explain", "x.mp4", "--device", "c"], {"cpu", "cuda"}),
        slow(["models", "show", "synthvid-selsa"], EMBEDDED),
        slow(["export", "synthvid-selsa-"], {"synthvid-selsa-troi"}),
        slow(["evaluate", "--model", "synthvid-selsa"], EMBEDDED),
        slow(["recipes", "show", "paper/selsa-troi-r5"], {"paper/selsa-troi-r50"}),
        (["recipes", "diff", "x", "paper/selsa-troi-r5"], {"paper/selsa-troi-r50"}),
        slow(["train", "my"], {"my.yaml"}),
        slow(["train", "x", "--start", "mi"], {"mine.safetensors"}),
        (["train", "x", "--backbone", "resnet18"], {"resnet18-imagenet"}),
        slow(["weights", "download", "x", "selsa-troi-r101"], {"selsa-troi-r101-vid"}),
        slow(["weights", "where", "resnet18"], {"resnet18-imagenet"}),
        (["weights", "convert", "x", "--recipe", "mmtracking/selsa-r5"], {"mmtracking/selsa-r50"}),
    ],
)
def test_bash_offers(tmp_path, capsys, script, trovid, words, offered):
    if not script.exists():
        assert trovid_command(capsys, "completion", "bash", "--out", script)[0] == 0
    for name in ("street.mp4", "mine.safetensors", "my.yaml"):
        (tmp_path / name).touch()
    done = subprocess.run(
        ["bash", "-c", TAB, "bash", script, trovid, *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert set(done.stdout.split()) == offered


def test_the_names_offered_are_those_that_there_are():
    assert names.model_names() == [*embedded_models(), *checkpoints()]
    assert names.recipe_names() == recipe_names()
    assert names.weights_names() == [*checkpoints(), *backbone_checkpoints()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_every_shell_has_a_script_with_every_command(capsys, shell):
    status, out, complaints = trovid_command(capsys, "completion", shell)
    assert (status, complaints) == (0, [])
    assert all(name in out for name in SUMMARIES)


def test_unknown_shell_and_a_place_that_cannot_be_written(tmp_path, capsys):
    status, _, complaints = trovid_command(capsys, "completion", "csh")
    assert (status, len(complaints)) == (2, 1)
    (tmp_path / "file").touch()
    status, _, complaints = trovid_command(
        capsys, "completion", "fish", "--out", tmp_path / "file" / "x"
    )
    assert status == 2
    assert "cannot write" in complaints[0]
