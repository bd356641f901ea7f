"""Several videos in one call: they share the batch, and each finds what it finds alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.runs.batches import note_batches
from trovid.cli.main import main
from trovid.datasets.synthvid import make_clip, write_split
from trovid.errors import TrovidError
from trovid.inference import Predictor, load
from trovid.zoo.weights import save_weights

SUPPORT = "uniform:3"


@pytest.fixture(scope="module")
def videos() -> list[np.ndarray]:
    """Two of one size and different lengths, one of another size, one of a single frame."""
    first, second = (make_clip("val", i).frames for i in (1, 2))
    return [first[:6], second[:3], first[3:8, :192], second[7:8]]


def assert_same(one, other):
    assert one.frame_index == other.frame_index
    assert one.labels.tolist() == other.labels.tolist()
    assert one.image_size == other.image_size
    torch.testing.assert_close(one.boxes, other.boxes, atol=1e-2, rtol=0)
    torch.testing.assert_close(one.scores, other.scores, atol=1e-4, rtol=0)


@pytest.mark.parametrize("among", [False, True])
@pytest.mark.parametrize("name", ["synthvid-single", "synthvid-selsa-troi"])
def test_together_equals_one_by_one(name, among, videos, monkeypatch):
    model = load(name, device="cpu")
    options = {"score": 0.05, "target_among_support": among}
    if model.detector.uses_support:
        options["support"] = SUPPORT
    alone = [list(model.detect(video, **options)) for video in videos]
    assert sum(len(d) for found in alone for d in found) > 8
    sizes = note_batches(monkeypatch)
    together: list[list] = [[] for _ in videos]
    for number, detections in model.detect_together(videos, **options):
        together[number].append(detections)
    assert max(sizes) > 1
    assert sum(sizes) == sum(map(len, videos))
    for found, wanted in zip(together, alone, strict=True):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)


def test_frames_and_classes_are_chosen_for_each(videos):
    model = load("synthvid-single-troi", device="cpu")
    frames = [[0, 4], None, [1], []]
    found = list(
        model.detect_together(videos, frames=frames, support=SUPPORT, classes=["star"], score=0.0)
    )
    indices = [[d.frame_index for n, d in found if n == number] for number in range(4)]
    assert indices == [[0, 4], [0, 1, 2], [1], []]
    assert {name for _, d in found for name in d.names} == {"star"}
    with pytest.raises(ValueError, match=r"`frames` must have an entry a video \(4\), but has 1"):
        list(model.detect_together(videos, frames=[None]))
    with pytest.raises(TrovidError, match="knows no class 'stra'"):
        list(model.detect_together(videos, classes=["stra"]))
    assert list(model.detect_together([])) == []


def test_evaluate_runs_several_at_once(tmp_path, capsys):
    data = write_split(tmp_path, split="val", videos=3, workers=1)
    model = load("synthvid-selsa-troi", device="cpu")
    save_weights(
        tmp_path / "m.safetensors", model.detector, model.recipe, provenance={}, half=False
    )
    words = ["evaluate", "--model", tmp_path / "m.safetensors", "--data", data, "--every", 8]
    words += ["--device", "cpu", "--support", SUPPORT]
    figures = []
    for batch in (1, 2):
        out = tmp_path / f"{batch}.json"
        with pytest.raises(SystemExit) as exited:
            main([*map(str, words), "--batch", str(batch), "--out", str(out)])
        assert not exited.value.code
        figures.append(json.loads(out.read_text())["overall"])
    assert figures[1] == pytest.approx(figures[0], abs=2e-3)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([*map(str, words), "--batch", "2", "--seq-nms"])
    assert "one video at a time: leave out --batch" in capsys.readouterr().err


def test_after_an_error_of_a_batch_its_frames_are_scored_alone(videos, monkeypatch):
    model = load("synthvid-single", device="cpu")
    alone = [list(model.detect(video)) for video in videos]
    detect_frames = Predictor.detect_frames

    def small(self, frames, supports, options):
        if len(frames) > 1:
            raise MemoryError("two frames are too many")
        return detect_frames(self, frames, supports, options)

    monkeypatch.setattr(Predictor, "detect_frames", small)
    together: list[list] = [[] for _ in videos]
    for number, detections in model.detect_together(videos):
        together[number].append(detections)
    for found, wanted in zip(together, alone, strict=True):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
