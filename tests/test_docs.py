"""The Python examples of README.md and docs/*.md, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch

from tests.programs import run_program
from trovid.cli.main import SUMMARIES, main
from trovid.datasets.synthvid import write_split
from trovid.detectors.building import build_detector
from trovid.recipes import parse_recipe
from trovid.zoo.default import DEFAULT_MODEL, DEFAULT_SINGLE
from trovid.zoo.weights import embedded_models

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECIPE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)

NOT_RUN = {
    ("scale.md", 0): "needs Ray and a cluster; tests/runs/test_video_detector.py runs the like",
    ("scale.md", 1): "needs Daft",
    ("own-data.md", 0): "needs DAVIS; tests/datasets/test_davis_page.py runs it on a small one",
    ("weights.md", 0): "needs published weights",
    ("weights.md", 2): "needs torchvision's weights",
}
BEFORE = {
    ("export.md", 0): "export synthvid-selsa-troi --frame-size 256x256 --out exported",
}
IMPORTS = {("export.md", 0): "import json, av, numpy as np, onnxruntime\n"}

EXAMPLES = [
    pytest.param(
        (page.name, number),
        code,
        id=f"{page.name}-{number}",
        marks=[pytest.mark.slow] if (page.name, number) in BEFORE else [],
    )
    for page in PAGES
    for number, code in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_split(folder, split="test", videos=1, workers=1)
    return next((folder / "test").iterdir())


def test_every_exception_belongs_to_an_example():
    assert len(EXAMPLES) >= 6
    assert {*NOT_RUN, *BEFORE, *IMPORTS} <= {example.values[0] for example in EXAMPLES}


@pytest.mark.parametrize(("place", "code"), EXAMPLES)
def test_example(tmp_path, monkeypatch, clip, place, code):
    if place in NOT_RUN:
        compile(code, f"{place[0]}, example {place[1]}", "exec")
        pytest.skip(NOT_RUN[place])
    for name in ("clip.mp4", "holiday.mp4"):
        shutil.copy(clip, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    if place in BEFORE:
        with pytest.raises(SystemExit) as exited:
            main(BEFORE[place].split())
        assert exited.value.code == 0
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = run_program(IMPORTS.get(place, "") + code, environment={**os.environ, "PATH": paths})
    assert done.returncode == 0, done.stderr


RECIPES = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, text in enumerate(RECIPE.findall(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("text", RECIPES)
def test_recipe(text):
    if "name: timm" in text:
        pytest.importorskip("timm", reason="the optional package timm is not installed")
    recipe = parse_recipe(text, "mine.yaml")
    assert recipe.name == "mine"
    with torch.device("meta"):
        assert build_detector(recipe).box_head.num_classes == len(recipe.model.classes)


def test_the_pages_name_the_model_that_is_taken_unnamed():
    pages = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
    row = next(line for line in pages["detect.md"].splitlines() if line.startswith("| `--model`"))
    assert f"`{DEFAULT_MODEL}`" in row
    assert f"| `{DEFAULT_MODEL}` |" in pages["README.md"]
    assert {DEFAULT_MODEL, DEFAULT_SINGLE} <= embedded_models().keys()


def test_commands_in_the_pages_exist_with_their_options(capsys):
    """Each line `trovid COMMAND ... --option` names a command and options that its help names."""
    lines = [
        line.strip()
        for page in PAGES
        for block in SHELL.findall(page.read_text(encoding="utf-8"))
        for line in block.splitlines()
        if line.startswith("trovid ")
    ]
    assert len(lines) > 15
    helps: dict[str, str] = {}
    for line in lines:
        words = line.partition("  #")[0].split()[1:]
        assert words[0] in SUMMARIES, line
        grouped = words[0] in ("models", "recipes", "weights", "bench", "data")
        command = words[:2] if grouped else words[:1]
        key = " ".join(command)
        if key not in helps:
            with pytest.raises(SystemExit):
                main([*command, "--help"])
            helps[key] = capsys.readouterr().out
        for option in (word for word in words if word.startswith("--")):
            assert option in helps[key] or option in ("--quiet", "--debug"), line
