"""Masks and identities in training: pairs of frames, losses, resuming, weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.datasets.coco_document import write_coco_vid
from tests.training.tiny import TRANSFORM, batch_of, tiny_dataset, tiny_folder, tiny_recipe
from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.inference import Predictor
from trovid.recipes import load_recipe
from trovid.structures import Masks
from trovid.training import train
from trovid.training.clips import TrainingClips
from trovid.training.data import trains_identities
from trovid.training.optimizer import make_optimizer
from trovid.training.run import train_recipe
from trovid.training.step import training_step
from trovid.zoo.weights import load_weights

NAME = "synthvid-masktrack-troi"


@pytest.fixture(scope="module")
def masked(dataset, tmp_path_factory):
    cache = tmp_path_factory.mktemp("frames")
    return TrainingClips(dataset, TRANSFORM, cache=cache, masks=True)


def small(**training):
    recipe = tiny_recipe(NAME, **training)
    track = replace(recipe.model.track_head, hidden=(8,))
    mask = replace(recipe.model.mask_head, channels=4, convolutions=1)
    return replace(recipe, model=replace(recipe.model, track_head=track, mask_head=mask))


@pytest.mark.parametrize("mutual", [True, False])
def test_pairs_of_frames(masked, mutual):
    settings = small(batch=3, mutual_support=mutual, support_frames=2, reference_window=3).training
    for step in range(5):
        drawn = masked.draw(settings, seed=0, step=step)
        per_clip = len(drawn.frame_indices[0])
        assert per_clip == (3 if mutual else 4)
        frames = [index for clip in drawn.frame_indices for index in clip]
        batch = drawn.batch(TRANSFORM)
        assert len(batch.references) == len(batch.targets) == 3 * batch.targets_per_clip
        for place, other, known in zip(
            batch.target_positions, batch.references, batch.reference_targets, strict=True
        ):
            assert place // per_clip == other // per_clip
            assert (frames[place] == frames[other]) == (place == other)
            assert mutual or 0 < abs(frames[place] - frames[other]) <= 3
            assert known["boxes"][0, 0] == 20 + frames[other]  # where the square is then
            assert known["instance_ids"].tolist() == [1]
        for _, target, reference in batch.targets_and_references():
            assert (target == reference) == mutual  # an extra frame supports nothing


def test_masks_follow_their_frames(masked):
    settings = small(batch=6, flip=0.5).training
    batch = batch_of(masked, settings, seed=0, step=0)
    for target in batch.targets:
        x1, y1, x2, y2 = target["boxes"][0].int().tolist()
        (mask,) = target["masks"]
        assert mask.shape == batch.images.shape[2:]
        assert mask.sum() == mask[y1:y2, x1:x2].sum() == (x2 - x1) * (y2 - y1)


def test_objects_without_masks_are_refused(tmp_path):
    dataset = tiny_dataset(tmp_path, one=3)
    dataset.objects.masks[1] = b""
    with pytest.raises(TrovidError, match="one: masks are trained, but not every object"):
        TrainingClips(dataset, TRANSFORM, cache=tmp_path, masks=True)


def test_objects_without_identities_are_refused(tmp_path):
    """Where nothing says which object is which each would be learned as a new one."""
    dataset = tiny_dataset(tmp_path, one=4, picture=1)
    dataset.objects.instance_ids[:] = range(5)
    words = "one: identities are trained .* but its labels have no identities"
    with pytest.raises(TrovidError, match=words):
        TrainingClips(dataset, TRANSFORM, cache=tmp_path, identities=True)
    pictures = dataset.subset(["picture"])
    TrainingClips(pictures, TRANSFORM, cache=tmp_path / "pictures", identities=True)


def test_missing_identities_are_said_before_the_start_is_trained(tmp_path):
    dataset = tiny_dataset(tmp_path, one=4)
    dataset.objects.instance_ids[:] = range(4)
    write_coco_vid(tmp_path / "train.json", dataset)
    recipe = small(start="synthvid-start")
    with pytest.raises(TrovidError, match="one: identities are trained"):
        train_recipe(recipe, data=tmp_path / "train.json", out=tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()


def test_which_recipes_learn_identities():
    assert trains_identities(load_recipe(NAME))
    assert not trains_identities(load_recipe("synthvid-selsa-troi"))


@pytest.mark.parametrize("part", ["mask_head", "track_head"])
def test_every_weight_has_a_gradient(masked, part):
    torch.manual_seed(0)
    recipe = small()
    temporal = replace(getattr(recipe.model, part), temporal=True)
    recipe = replace(recipe, model=replace(recipe.model, **{part: temporal}))
    detector = build_detector(recipe).train()
    losses = detector(batch_of(masked, recipe.training, seed=0, step=0))
    assert {"masks", "track"} < {*losses}
    sum(losses.values()).backward()
    without = [
        name for name, p in detector.named_parameters() if p.requires_grad and p.grad is None
    ]
    assert without == []


@pytest.mark.parametrize("name", [NAME, "synthvid-single"])
def test_a_step_in_parts_is_the_step_whatever_each_part_holds(masked, name):
    """Few proposals and objects, so that no kind of sample is as many in one part as in another."""
    recipe = small() if name == NAME else tiny_recipe(name)
    rpn = replace(recipe.model.rpn, post_nms=(20, 20))
    backbone = replace(recipe.model.backbone, frozen_stages=4)
    recipe = replace(recipe, model=replace(recipe.model, backbone=backbone, rpn=rpn))
    settings = replace(recipe.training, batch=5, random="clip", clip_norm=1e9)
    results = []
    for count in (1, 3):
        torch.manual_seed(0)
        detector = build_detector(recipe).train()
        pieces = masked.draw(settings, seed=0, step=0).parts(count)
        batches = [piece.batch(TRANSFORM) for piece in pieces]
        optimizer = make_optimizer(detector, settings)
        losses = training_step(detector, optimizer, batches, settings)
        gradients = {k: p.grad for k, p in detector.named_parameters() if p.requires_grad}
        results.append((losses, gradients))
    torch.testing.assert_close(results[1], results[0], atol=1e-6, rtol=1e-4)


def test_a_track_head_needs_pairs(masked):
    recipe = small(reference_window=0)
    batch = batch_of(masked, recipe.training, seed=0, step=0)
    with pytest.raises(ValueError, match=r"training\.reference_window"):
        build_detector(recipe).train()(batch)


def test_a_resumed_training_equals_an_uninterrupted_one(masked, tmp_path):
    class Stop(Exception):
        pass

    def stop(progress):
        if progress.step == 3:
            raise Stop

    whole = train(small(), masked, seed=1, checkpoint=tmp_path / "whole")
    options = {"seed": 1, "checkpoint": tmp_path / "c", "save_every": 2}
    with pytest.raises(Stop):
        train(small(), masked, report=stop, **options)
    resumed = train(small(), masked, **options)
    state = resumed.detector.state_dict()
    assert all(v.equal(state[k]) for k, v in whole.detector.state_dict().items())


@pytest.mark.slow
def test_from_data_to_masks_with_identities(tmp_path):
    """Trained a little on a moving square, it finds the square, its mask and its identity."""
    data = tiny_folder(tmp_path / "data")
    recipe = small(steps=60, learning_rate=0.004, flip=0.5)
    file = train_recipe(recipe, data=data, out=tmp_path / "runs", seed=0, validate=0, device="cpu")
    detector, card = load_weights(file)
    predictor = Predictor(detector, card.recipe, device="cpu")
    found = list(predictor.segment(data / "one.mp4", max_detections=1, score=0.0))
    assert len(found) == 12
    assert all(len(detections.masks) == len(detections.track_ids) == 1 for detections in found)
    assert len({int(detections.track_ids[0]) for detections in found}) == 1
    truth = torch.zeros(1, 64, 96, dtype=torch.bool)
    truth[0, 20:44, 26:50] = True
    assert float(found[6].masks.iou(Masks.from_dense(truth))) > 0.3
