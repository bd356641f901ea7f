"""Python arguments in messages of the library become flags of the command."""

from __future__ import annotations

import logging

import pytest

from trovid.cli.main import main
from trovid.cli.messages import complain, name_options_of, speaking, with_flags

LOG = logging.getLogger("trovid")


def command(place, /, *others, max_detections=1, video=True, classes=None):
    """A command with two options and a flag."""


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("`max_detections` must be 1", "--max-detections must be 1"),
        ("leave out `video=False` or `video`", "leave out --no-video or --video"),
        ("`stride` is no option here", "`stride` is no option here"),
        ("`place` and `others` are none", "`place` and `others` are none"),
        ("name another, or give `stride` for once", "name another"),
        ("name another, or give `video` for once", "name another, or give --video for once"),
        ("`trovid models` lists them", "`trovid models` lists them"),
    ],
)
def test_options_of_the_command_alone_are_flags(message, said, capsys):
    assert with_flags(message) == message
    with speaking(quiet=False):
        name_options_of([command])
        assert with_flags(message) == said
        complain(message)
        LOG.warning("%s", message)
    assert capsys.readouterr().err == f"trovid: {said}\n" * 2
    assert with_flags(message) == message
    assert not LOG.handlers


def test_quiet_keeps_errors(capsys):
    with speaking(quiet=True):
        LOG.warning("by the way")
        LOG.error("broken")
    assert capsys.readouterr().err == "trovid: broken\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nms", "3"], "--nms must lie in 0..1, but is 3.0"),
        (["--max-detections", "0"], "--max-detections must be at least 1, but is 0"),
        (["--seq-nms", "--online"], "--seq-nms needs the whole video, --online has not: give one"),
        (["--start", "5", "--end", "2"], "--end must lie after --start (5.0 s), but is 2.0 s"),
        (["--lookahead", "3"], "--lookahead belongs to --online; give both or none"),
    ],
)
def test_wrong_options_of_detect(words, said, capsys):
    with pytest.raises(SystemExit) as exited:
        main(["detect", "a.mp4", *words])
    assert exited.value.code == 2
    assert capsys.readouterr().err.startswith(f"trovid: {said}")
