"""Training on one's own videos: what is checked, taken over, said and left."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from tests.cli.command import trovid_command
from tests.datasets.labelled_folder import labelled_folder
from tests.training.tiny import tiny_recipe
from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError
from trovid.recipes import changed_recipe, load_recipe, parse_changes
from trovid.structures import Detections, Video
from trovid.training.start import initial_detector
from trovid.zoo.weights import read_card

SMALL = ("image.shorter=48", "image.longer=80", "training.validate_every=1", "training.warmup=1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TROVID_CACHE", str(tmp_path / "cache"))
    return labelled_folder(tmp_path / "my-videos")


def test_one_command_trains_on_ones_own_videos(capsys, folder, tmp_path):
    words = ["train", "--data", folder, "--out", tmp_path / "runs", "--steps", "2", "--batch", "1"]
    for change in SMALL:
        words += ["--set", change]
    status, out, said = trovid_command(capsys, *words, "--device", "cpu")
    assert status == 0
    text = "\n".join(said)
    assert "4 videos are for training, 1 for validation" in text
    assert "begins with everyday-selsa-troi.safetensors: 99 % of the numbers" in text
    assert "at random: the rows of cup, star" in text
    file = tmp_path / "runs" / "own-seed0.safetensors"
    card = read_card(file)
    assert card.recipe.model.classes == ("cup", "star")
    assert (card.recipe.training.steps, card.recipe.training.batch) == (2, 1)
    assert card.provenance["start"]["source"].startswith("everyday-selsa-troi")
    assert "val_ap50" in card.provenance
    assert out.startswith(f"{file}: ")
    assert (tmp_path / "runs" / "own-seed0.best.safetensors").exists()
    assert (tmp_path / "runs" / "own-seed0.png").read_bytes().startswith(b"\x89PNG")
    log = (tmp_path / "runs" / "own-seed0.jsonl").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["step"] for line in lines if "val_ap50" in line] == [1, 2]
    assert [line["step"] for line in lines if "loss" in line] == [2]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model.rpn.nsm=0.6", "no key 'model.rpn.nsm'; did you mean 'model.rpn.nms'"),
        ("model.rpn.nms=abc", "model.rpn.nms must be of type float, but is 'abc'"),
        ("model.rpn.nms=7", "model.rpn.nms must lie in 0..1"),
        ("training.steps", "must be KEY=VALUE"),
        ("training.drops=[1", "is no YAML value"),
        ("model.rpn=null", "model.rpn must hold keys and values, but is None"),
        ("training.cam=null", "no key 'training.cam'"),
    ],
)
def test_changes_that_do_not_fit(word, message):
    with pytest.raises(TrovidError, match=message.replace("[", r"\[")):
        changed_recipe(load_recipe("own"), parse_changes([word]))


def test_a_part_of_the_recipe_is_left_out_or_changed_as_a_whole():
    words = ["training.camera=null", "model.roi.temporal=null", "model.rpn={nms: 0.6}"]
    recipe = load_recipe("own")
    changed = changed_recipe(recipe, parse_changes(words))
    assert changed.training.camera is changed.model.roi.temporal is None
    assert changed.model.rpn == replace(recipe.model.rpn, nms=0.6)
    with pytest.raises(TrovidError, match=r"training\.camera is set as a whole and in part"):
        changed_recipe(recipe, parse_changes(["training.camera.zoom=[1, 2]", words[0]]))


def test_neither_recipe_nor_data_is_one_line(capsys):
    status, out, (line,) = trovid_command(capsys, "train")
    assert (status, out) == (2, "")
    assert "name a RECIPE" in line


def test_sparse_labels_support_each_other(folder):
    """With `mutual_support` support frames are labelled ones."""
    from trovid.training.clips import TrainingClips
    from trovid.video.transforms import FrameTransform

    dataset = read_dataset(folder, split=None)
    clips = TrainingClips(dataset, FrameTransform(48, 80), cache=folder / "frames")
    plain = changed_recipe(load_recipe("own"), {"training.augmentation.crop": 1.0})
    settings = plain.training
    for step in range(4):
        drawn = clips.draw(settings, seed=0, step=step)
        assert all(
            index in (0, 2, 4) or index < 0 for indices in drawn.frame_indices for index in indices
        )
        assert all(len(boxes) == 2 for boxes in drawn.boxes)


def test_the_best_score_of_validation_is_what_detect_takes():
    from trovid.datasets.contract import Dataset, VideoEntry
    from trovid.datasets.objects import ObjectRows
    from trovid.evaluation.pool import pool_frames
    from trovid.evaluation.score_threshold import best_score_threshold
    from trovid.inference.predictor import Predictor
    from trovid.zoo.weights import ModelCard

    rows = ObjectRows()
    for frame in range(4):
        rows.add(0, frame, 0, (10, 10, 30, 30))
    video = VideoEntry(Video("a", 4, 50, 50), "a", range(4))
    dataset = Dataset(["cup"], [video], rows.objects())
    scores = {0: [0.9], 1: [0.8, 0.35], 2: [0.4, 0.3], 3: [0.2]}  # the first of a frame is right
    found = [
        Detections(
            boxes=torch.tensor([[10.0, 10, 30, 30], [32, 32, 48, 48]])[: len(frame_scores)],
            scores=torch.tensor(frame_scores),
            labels=torch.zeros(len(frame_scores), dtype=torch.long),
            class_names=("cup",),
            frame_index=frame,
            image_size=(50, 50),
        )
        for frame, frame_scores in scores.items()
    ]
    best = best_score_threshold(pool_frames({"a": found}, dataset))
    assert best is not None
    assert (best.score, best.precision, best.recall) == (0.4, 1.0, 0.75)
    recipe = tiny_recipe("synthvid-single")
    detector = initial_detector(recipe, seed=0, start=None)
    card = ModelCard(recipe, {"score_threshold": best.score})
    assert Predictor(detector, recipe, card=card, device="cpu").usual_score == 0.4
    assert Predictor(detector, recipe, device="cpu").usual_score == 0.5
