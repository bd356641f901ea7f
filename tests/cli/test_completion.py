"""`trovid completion`: what a real shell offers for a beginning."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.cli.command import trovid_command
from trovid.cli.main import SUMMARIES

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


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["exp"], {"explain", "export", "experiment"}),
        (["detect", "--look"], {"--lookahead"}),
        (["detect", "--precision", "b"], {"bf16"}),
        (["detect", "str"], {"street.mp4"}),
        (["detect", "x.mp4", "--out", "str"], {"street.mp4"}),
        (["info", "str"], {"street.mp4"}),
        (["explain", "str"], {"street.mp4"}),
        (["models", "s"], {"show"}),
    ],
)
def test_bash_offers(tmp_path, capsys, script, words, offered):
    if not script.exists():
        assert trovid_command(capsys, "completion", "bash", "--out", script)[0] == 0
    (tmp_path / "street.mp4").touch()
    done = subprocess.run(
        ["bash", "-c", TAB, "bash", script, "trovid", *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert set(done.stdout.split()) == offered


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
