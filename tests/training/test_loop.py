"""The training loop on real clips: it learns, resumes exactly, and refuses the wrong checkpoint."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid import write_split
from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.recipes import load_recipe
from trovid.storage.tensor_files import read_tensors, save_tensors
from trovid.training import train
from trovid.training.clips import TrainingClips
from trovid.training.loop import learning_rate
from trovid.video.transforms import FrameTransform


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    labels = read_coco_vid(write_split(folder, split="train", videos=2, workers=1))
    return TrainingClips(labels, FrameTransform(96, 96), cache=folder / "cache")


def recipe(name="synthvid-selsa-troi", **training):
    full = load_recipe(name)
    settings = {"steps": 4, "batch": 2, "warmup": 1, **training}
    return dataclasses.replace(full, training=dataclasses.replace(full.training, **settings))


def state(detector):
    return {k: v for k, v in detector.state_dict().items() if v.is_floating_point()}


def test_a_resumed_training_equals_an_uninterrupted_one(clips, tmp_path):
    whole = train(recipe(), clips, seed=3, checkpoint=tmp_path / "whole").detector

    class Stop(Exception):
        pass

    def stop_after_three(progress):
        if progress.step == 3:
            raise Stop

    with pytest.raises(Stop):
        train(
            recipe(),
            clips,
            seed=3,
            checkpoint=tmp_path / "parts",
            save_every=2,
            report=stop_after_three,
        )
    resumed = train(recipe(), clips, seed=3, checkpoint=tmp_path / "parts").detector
    for key, value in state(whole).items():
        assert torch.equal(value, state(resumed)[key]), key


def test_a_checkpoint_of_another_training_is_refused(clips, tmp_path):
    train(recipe(steps=1), clips, seed=0, checkpoint=tmp_path / "c")
    with pytest.raises(TrovidError, match="another recipe or seed"):
        train(recipe(steps=1), clips, seed=1, checkpoint=tmp_path / "c")


def other_processor(monkeypatch, computes: bool):
    monkeypatch.setattr("trovid.training.loop.computes_bfloat16", lambda device: computes)


@pytest.mark.parametrize(
    ("computes", "asked", "wanted"),
    [
        (True, True, "bfloat16"),
        (False, True, "float32"),
        (True, False, "float32"),
        (False, False, "float32"),
    ],
)
def test_the_precision_is_one_that_the_processor_computes(
    clips, tmp_path, monkeypatch, caplog, computes, asked, wanted
):
    other_processor(monkeypatch, computes)
    short = recipe("synthvid-start", steps=1, batch=1, bfloat16=asked)
    trained = train(short, clips, seed=0, checkpoint=tmp_path / "c")
    assert trained.precision == wanted
    assert ("float32 is used instead" in caplog.text) == (asked and not computes)


@pytest.mark.parametrize("computes", [True, False])
def test_a_resumed_training_keeps_its_precision(clips, tmp_path, monkeypatch, computes):
    short, file = recipe("synthvid-start", steps=2, batch=1), tmp_path / "c"
    other_processor(monkeypatch, computes)
    train(short, clips, seed=0, checkpoint=file)
    other_processor(monkeypatch, not computes)
    resumed = train(short, clips, seed=0, checkpoint=file)
    assert resumed.precision == ("bfloat16" if computes else "float32")


def test_a_checkpoint_of_before_was_in_the_precision_of_its_recipe(clips, tmp_path):
    short, file = recipe("synthvid-start", steps=1, batch=1), tmp_path / "c"
    train(short, clips, seed=0, checkpoint=file)
    tensors, metadata = read_tensors(file)
    head = json.loads(metadata["head"])
    del head["precision"]
    save_tensors(file, tensors, {"head": json.dumps(head)})
    assert train(short, clips, seed=0, checkpoint=file).precision == "bfloat16"


def test_the_losses_fall_on_a_few_frames(clips, tmp_path):
    losses = []
    train(
        recipe("synthvid-start", steps=40, batch=4, learning_rate=1e-3),
        clips,
        seed=0,
        checkpoint=tmp_path / "c",
        report=lambda p: losses.append(p.losses["rpn_objectness"]),
    )
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_batches_depend_on_the_seed_alone(clips):
    one = clips.batch(3, 2, seed=(0, 5))
    same, other = clips.batch(3, 2, seed=(0, 5)), clips.batch(3, 2, seed=(0, 6))
    assert torch.equal(one.images, same.images)
    assert not torch.equal(one.images, other.images)
    assert one.images.shape[0] == 9
    assert one.target_positions == [0, 3, 6]
    assert len(one.targets) == 3
    for target in one.targets:
        assert target["boxes"].max() <= 96


def test_mutual_support_makes_targets_of_the_same_frames(clips):
    one, mutual = (clips.batch(3, 2, seed=(0, 5), mutual=mutual) for mutual in (False, True))
    assert torch.equal(one.images, mutual.images)
    assert mutual.target_positions == list(range(9))
    assert len(mutual.targets) == 9
    for alone, place in zip(one.targets, one.target_positions, strict=True):
        assert torch.equal(alone["boxes"], mutual.targets[place]["boxes"])


@pytest.mark.parametrize("mutual", [False, True])
def test_a_target_is_supported_by_the_other_frames_of_its_clip_alone(clips, mutual):
    detector = build_detector(recipe())
    batch = clips.batch(2, 3, seed=(0, 0), mutual=mutual)
    support = []

    pool = detector.pool

    def noted(features, proposals, image_sizes, supports):
        assert image_sizes == [(96, 96)] * len(proposals)
        support.extend(own.frame_indices for own in supports)
        return pool(features, proposals, image_sizes, supports)

    detector.pool = noted
    detector(batch)
    wanted = [
        tuple(frame for frame in frames if frame != target)
        for frames in batch.frame_indices
        for target in frames[: 4 if mutual else 1]
    ]
    assert support == wanted


def test_the_learning_rate_warms_up_and_ends_low():
    settings = recipe(steps=100, warmup=10, learning_rate=1.0).training
    rates = [learning_rate(settings, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] or max(rates) == rates[10]
    assert rates[-1] < 0.001


def test_short_memory_says_what_lowers_the_need(clips, tmp_path, monkeypatch):
    def short(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("trovid.detectors.faster_rcnn.detector.Detector.forward", short)
    with pytest.raises(TrovidError, match=r"out of memory: a smaller training.batch"):
        train(recipe(steps=1), clips, seed=0, checkpoint=tmp_path / "c")
