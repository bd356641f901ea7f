"""The model that is taken where none is named: what it is, and what it finds."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from PIL import Image, ImageFilter

import trovid
from tests.cli.command import trovid_command
from trovid.cli import bench_detect
from trovid.cli.blur import blur
from trovid.cli.demo import demo
from trovid.cli.detect import detect
from trovid.cli.explain import explain
from trovid.experiments.photographs import photographs_folder
from trovid.zoo.default import DEFAULT_MODEL, DEFAULT_SINGLE, DEFAULT_SUPPORT, EVERYDAY
from trovid.zoo.weights import embedded_models

CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
)
SHOWN = {"astronaut.png": "person", "chelsea.png": "cat", "motorcycle_left.png": "motorbike"}
SIZE = 400
"""Pixels of the longer side, so that the test is quick."""


@pytest.fixture(scope="module")
def everyday():
    """By name the default and its rival, as they come with trovid."""
    models = trovid.load(device="cpu"), trovid.load(DEFAULT_SINGLE, device="cpu")
    return {model.name: model for model in models}


@pytest.fixture(scope="module")
def photographs():
    """Name and pixels of scikit-image's photographs."""
    pytest.importorskip("skimage", reason="the extra `demo` is not installed")
    found = {}
    for name in SHOWN:
        with Image.open(photographs_folder() / name) as image:
            image.thumbnail((SIZE, SIZE))
            found[name] = np.array(image.convert("RGB"))
    return found


def test_the_pair_knows_twenty_classes(everyday):
    assert list(everyday) == [DEFAULT_MODEL, DEFAULT_SINGLE]
    assert set(everyday) == set(EVERYDAY) == {"everyday-selsa-troi", "everyday-single"}
    for model in everyday.values():
        assert model.class_names == tuple(CLASSES.split())
        assert not model.notice.synthvid_alone


def test_its_support_frames_are_known_before_it_is_loaded(everyday):
    assert everyday[DEFAULT_MODEL].recipe.inference.support == DEFAULT_SUPPORT


def test_the_pair_is_small():
    files = [embedded_models()[name] for name in EVERYDAY]
    assert sum(file.stat().st_size for file in files) <= 16 * 2**20


@pytest.mark.parametrize("command", [detect, blur, demo, explain, bench_detect.detect])
def test_every_command_takes_it(command):
    assert inspect.signature(command).parameters["model"].default == DEFAULT_MODEL


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("model", EVERYDAY)
def test_it_finds_what_photographs_show(everyday, photographs, model, name):
    image = photographs[name]
    (found,) = everyday[model].detect(image[None], score=0.5)
    best = int(found.scores.argmax())
    assert found.class_names[found.labels[best]] == SHOWN[name]
    assert found.scores[best] > 0.8
    left, top, right, bottom = found.boxes[best].tolist()
    assert (right - left) * (bottom - top) > 0.25 * image.shape[0] * image.shape[1]


def test_it_finds_a_spoilt_cat_by_the_other_frame(everyday, photographs):
    clear = photographs["chelsea.png"]
    spoilt = Image.fromarray(clear).filter(ImageFilter.GaussianBlur(9))
    video = np.stack([clear, np.array(spoilt) // 3])
    scores = {}
    for name, model in everyday.items():
        _, found = model.detect(video, score=0.01, classes=["cat"])
        scores[name] = max(found.scores.tolist(), default=0.0)
    assert scores[DEFAULT_MODEL] > scores[DEFAULT_SINGLE] + 0.2


def test_the_command_takes_it_and_says_what_it_knows(photographs, tmp_path, capsys):
    Image.fromarray(photographs["chelsea.png"]).save(tmp_path / "cat.png")
    words = ["--out", tmp_path / "out", "--no-video", "--no-csv", "--device", "cpu"]
    status, _, said = trovid_command(capsys, "detect", tmp_path / "cat.png", *words)
    assert (status, len(said)) == (0, 1)
    *first, last = CLASSES.split()
    known = f"everyday-selsa-troi knows {', '.join(first)} and {last}; "
    assert said[0].startswith(f"trovid: {known}other classes: --model coco-*")
    assert '"cat"' in (tmp_path / "out" / "cat.json").read_text()
