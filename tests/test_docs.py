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
from trovid.datasets.synthvid import make_clip
from trovid.detectors.building import build_detector
from trovid.recipes import parse_recipe
from trovid.video import VideoWriter
from trovid.zoo.catalogue import catalogue
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
    """As long as the examples need it."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    frames = make_clip("test", 0).frames[:11]
    with VideoWriter(path, height=256, width=256, frame_rate=12) as writer:
        for frame in frames:
            writer.write(frame)
    return path


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_figures_of_synthvid_s_masks_are_said_to_be_amodal(page):
    """Its masks are whole shapes: beside each AP stand that word and the visible parts' figure."""
    for block in page.read_text(encoding="utf-8").split("\n\n"):
        if re.search(r"AP of tracks|figures of masks", block) and re.search(r"\d\d\.\d", block):
            assert "amodal" in block, block
            assert "visible" in block, block


def test_models_with_masks_say_that_their_figures_are_amodal():
    entries = [entry for entry in catalogue() if entry.name.startswith("synthvid-masktrack")]
    assert len(entries) == 2
    for entry in entries:
        assert re.match(r"amodal AP \d\d\.\d, amodal AP50 .*, visible AP \d", entry.figures)


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
