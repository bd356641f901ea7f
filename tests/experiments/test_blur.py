"""The figures of covered sequences, by hand, and the command on sequences made here."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.command import trovid_command
from tests.cli.tiny_model import save_tiny_model
from trovid.errors import TrovidError
from trovid.evaluation import Exposure
from trovid.experiments import blur
from trovid.experiments.blur import FILLED, FOUND, exposure_figures, measure, run_blur
from trovid.experiments.premise import sequences
from trovid.inference.loading import load
from trovid.redaction import Redaction
from trovid.structures import Detections

SIDE = 20


def make(folder, name, frames=10):
    """A square that moves two pixels a frame."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 90, (64, 96, 3), dtype=np.uint8)
    for kind in ("JPEGImages", "Annotations"):
        (folder / kind / name).mkdir(parents=True)
    for index in range(frames):
        image, mask = ground.copy(), np.zeros((64, 96), np.uint8)
        place = slice(10, 10 + SIDE), slice(10 + 2 * index, 10 + SIDE + 2 * index)
        image[place], mask[place] = (250, 200, 20), 255
        Image.fromarray(image).save(folder / "JPEGImages" / name / f"{index:05d}.webp")
        Image.fromarray(mask).convert("1").save(folder / "Annotations" / name / f"{index:05d}.png")


class Finder:
    """Finds the square but for some frames."""

    def __init__(self, missed):
        self.missed = missed

    def detect(self, reader, **asked):
        wanted = {"score": 0.3, "classes": ("car",), "track": "iou", "continue_score": 1.0}
        assert asked == wanted
        for index in range(len(reader)):
            boxes = torch.tensor([[10.0, 10, 10 + SIDE, 10 + SIDE]])
            boxes[:, [0, 2]] += 2 * index
            boxes = boxes[: int(index not in self.missed)]
            count = len(boxes)
            yield Detections(
                boxes=boxes,
                scores=torch.full((count,), 0.9),
                labels=torch.zeros(count, dtype=torch.int64),
                class_names=("car",),
                frame_index=index,
                image_size=(64, 96),
                track_ids=torch.zeros(count, dtype=torch.int64),
            )


@pytest.mark.parametrize(
    ("missed", "fill_gaps", "found", "filled"),
    [
        (set(), 3, 0, 0),
        ({4, 5, 6}, 3, 3, 0),
        ({0, 1, 2, 3}, 3, 4, 1),
        ({7, 8, 9}, 15, 3, 0),
        ({1, 2, 3, 4, 5, 6, 7, 8}, 3, 8, 2),
        (set(range(10)), 15, 10, 10),
    ],
)
def test_objects_that_are_seen(tmp_path, missed, fill_gaps, found, filled):
    make(tmp_path, "car-turn")
    (sequence,) = sequences(tmp_path)
    redaction = Redaction(fill_gaps=fill_gaps)
    sums = measure(Finder(missed), sequence, ("car",), redaction)
    assert (sums[FOUND].object_frames, sums[FILLED].object_frames) == (10, 10)
    assert (sums[FOUND].visible, sums[FILLED].visible) == (found, filled)
    assert sums[FOUND].visible_pixels == found * SIDE**2
    outside = (SIDE + 4) ** 2 - SIDE**2  # a margin of two pixels on each side
    assert sums[FOUND].outside_pixels == (10 - found) * outside
    assert sums[FILLED].outside_pixels >= (10 - filled) * outside


def test_figures_are_of_one_pool_and_paired():
    one = [Exposure(10, 5, 50, 100, 30, 1000), Exposure(30, 3, 30, 300, 90, 3000)]
    other = [Exposure(10, 0, 0, 100, 60, 1000), Exposure(30, 0, 0, 300, 180, 3000)]
    figures = exposure_figures({"a": one, "b": other}, ["x", "y"], resamples=200)
    assert figures["a"]["visible"]["value"] == 8 / 40
    assert figures["a"]["pixels"]["value"] == 80 / 400
    assert figures["a"]["outside"]["value"] == 120 / 4000
    assert figures["b"]["visible above"]["value"] == pytest.approx(-8 / 40)
    assert figures["a"]["visible"]["low"] == pytest.approx(3 / 30)
    assert figures["a"]["visible"]["high"] == pytest.approx(5 / 10)
    assert figures["b"]["outside above"]["low"] == pytest.approx(0.03)
    assert figures["b"]["outside above"]["high"] == pytest.approx(0.03)
    together = exposure_figures({"a": one}, ["x", "x"], resamples=50)
    assert together["a"]["visible"]["low"] == together["a"]["visible"]["high"] == 8 / 40


def test_the_command(tmp_path, capsys):
    for name in ("car-turn", "drift-straight", "rhino"):
        make(tmp_path / "DAVIS", name, frames=4)
    model = save_tiny_model(tmp_path / "tiny.safetensors", name="everyday-single")
    words = ["--data", tmp_path / "DAVIS", "--model", model, "--report", tmp_path / "report"]
    status, out, complaints = trovid_command(capsys, "experiment", "blur", *words)
    assert (status, complaints) == (0, [])
    assert "what stays visible" in out
    result = json.loads((tmp_path / "report" / "blur.json").read_text())
    assert result["sequences"] == ["car-turn", "drift-straight"]
    assert [*result["figures"]] == [f"tiny, {FOUND}", f"tiny, {FILLED}"]
    assert result["by_sequence"][f"tiny, {FOUND}"]["car-turn"][0] == 4
    assert "| tiny, gaps filled |" in (tmp_path / "report" / "blur.md").read_text()


def test_the_tracker_leaves_nothing_out_as_in_the_command(tmp_path, monkeypatch):
    make(tmp_path / "DAVIS", "car-turn", frames=2)
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    used = []

    def look(predictor, *_):
        used.append(predictor)
        return {FOUND: Exposure(), FILLED: Exposure()}

    monkeypatch.setattr(blur, "measure", look)
    monkeypatch.setattr(blur, "_known", lambda *_: ("star",))
    run_blur(tmp_path / "DAVIS", models=[model], folder=tmp_path / "report", resamples=2)
    pictures = tmp_path / "DAVIS" / "JPEGImages" / "car-turn"

    def found(predictor, track):
        detections = predictor.detect(pictures, score=0.0, track=track, support="uniform:0")
        return sum(map(len, detections))

    whole = found(used[0], None)
    assert found(used[0], "iou") == whole
    assert found(load(model), "iou") < whole


def test_what_cannot_be_measured(tmp_path, capsys):
    make(tmp_path / "DAVIS", "car-turn", frames=2)
    words = ["--data", tmp_path / "DAVIS", "--report", tmp_path / "report"]
    status, _, complaints = trovid_command(
        capsys, "experiment", "blur", *words, "--model", "synthvid-single"
    )
    assert status == 2
    assert "synthvid-single knows no class of car-turn (car)" in complaints[0]
    with pytest.raises(TrovidError, match="holds none of the sequences"):
        run_blur(tmp_path / "DAVIS", folder=tmp_path, names=("rhino",))
    status, _, complaints = trovid_command(capsys, "experiment", "premise", *words, "--model", "x")
    assert status == 2
    assert "--model belongs to `trovid experiment blur`" in complaints[0]
