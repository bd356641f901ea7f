"""What `--help` shows of every command and of every action of those that have some."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import cyclopts
import pytest

from tests.cli.command import trovid_command
from trovid.cli.help import shown_default
from trovid.cli.main import SUMMARIES
from trovid.cli.options import RUNNING, SELECTION
from trovid.recipes import load_recipe
from trovid.zoo.default import DEFAULT_MODEL

DOCS = Path(__file__).parents[2] / "docs"


def _commands() -> list[str]:
    words = []
    for name in SUMMARIES:
        command = getattr(importlib.import_module(f"trovid.cli.{name}"), name)
        actions = command if isinstance(command, cyclopts.App) else ()
        subcommands = [f"{name} {action}" for action in actions if not action.startswith("-")]
        words += subcommands or [name]
    return words


@pytest.fixture(params=_commands())
def command(request) -> str:
    return request.param


@pytest.fixture
def text(capsys, command) -> str:
    status, out, complaints = trovid_command(capsys, *command.split(), "--help")
    assert (status, complaints) == (0, [])
    return out


def test_examples_can_be_copied_from_80_columns(command, text):
    examples = text.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    assert examples
    assert all(line.startswith("    ") and len(line) <= 80 for line in examples), examples
    assert any(f"trovid {command}" in line for line in examples) or command.endswith(" list")


def test_usage_and_defaults(command, text):
    assert text.startswith(f"Usage: trovid {command}")
    assert not any(f"[default: {nothing}]" in text for nothing in ("None", "False", "()"))


def test_results_can_be_had_as_json(command, text):
    assert ("--json" in text) == (command != "completion")


def test_a_description_is_one_paragraph(capsys):
    _, out, _ = trovid_command(capsys, "detect", "--help")
    lines = [line.strip("│ ") for line in out.splitlines()]
    at = next(i for i, line in enumerate(lines) if line.startswith("--support"))
    assert lines[at : at + 3] == [
        "--support STR           Frames that support each other: uniform:14 (or 14),",
        "consecutive:6, stride:8x26; by default the model's",
        "own; a model of single frames has none.",
    ]


@pytest.mark.parametrize("page", ["detect", "explain", "blur", "detect.md", "blur.md"])
def test_classes_in_examples_are_known_to_the_default_model(page, capsys):
    if page.endswith(".md"):
        text = (DOCS / page).read_text(encoding="utf-8")
    else:
        _, text, _ = trovid_command(capsys, page, "--help")
        text = text.partition("Examples:\n")[2].partition("\n\n")[0]
    known = load_recipe(DEFAULT_MODEL).model.classes
    lines = [line for line in text.splitlines() if "--model" not in line]
    named = [names for line in lines for names in re.findall(r"--classes ([a-z,]+)", line)]
    assert {name for names in named for name in names.split(",")} <= {*known}
    assert named


def test_commands_that_run_a_model_say_the_same_of_its_options(capsys):
    texts = []
    for command in ("detect", "segment", "evaluate"):
        _, out, _ = trovid_command(capsys, command, "--help")
        texts.append(" ".join(" ".join(line.strip("│ ") for line in out.splitlines()).split()))
    for name in {**vars(SELECTION), **vars(RUNNING)}:
        option = f" --{name.replace('_', '-')} "
        said = {text.partition(option)[2].partition(" --")[0] for text in texts}
        assert len(said) == 1
        assert said != {""}


def test_places_are_named_in_the_usage(capsys):
    usage = {
        "detect": "VIDEO... [OPTIONS]",
        "explain": "VIDEO [OPTIONS]",
        "evaluate": "[PREDICTIONS] [OPTIONS]",
        "recipes diff": "FIRST SECOND [OPTIONS]",
        "weights verify": "NAME... [OPTIONS]",
        "models list": "[OPTIONS]",
    }
    for command, words in usage.items():
        _, out, _ = trovid_command(capsys, *command.split(), "--help")
        assert out.splitlines()[0] == f"Usage: trovid {command} {words}"


def test_shown_default():
    assert [shown_default(value) for value in (None, False, (), True, 0, 0.5, "auto")] == [
        *(None, None, None),
        *("True", "0", "0.5", "auto"),
    ]
