"""What a step needs is told before it; activations that are computed again change nothing."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from tests.training.tiny import TRANSFORM, tiny_recipe
from trovid.errors import TrovidError
from trovid.training.checkpointing import checkpoint_backbone
from trovid.training.loop import train
from trovid.training.memory_needed import MemoryNeeded, memory_needed
from trovid.training.start import initial_detector


def needed(clips, recipe, clips_at_once=1):
    detector = initial_detector(recipe, seed=0, start=None).train()
    batch = clips.draw(recipe.training, seed=0, step=0).batch(TRANSFORM)
    before = copy.deepcopy(detector.state_dict())
    state = torch.get_rng_state()
    found = memory_needed(
        detector,
        batch,
        recipe.training,
        clips_at_once=clips_at_once,
        device=torch.device("cpu"),
    )
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(v, before[k]) for k, v in detector.state_dict().items())
    return found


def test_it_grows_with_the_clips_and_shrinks_by_computing_again(clips):
    recipe = tiny_recipe(batch=1, support_frames=2)
    one, four = needed(clips, recipe), needed(clips, recipe, 4)
    assert one.weights == four.weights > 0
    assert four.activations == pytest.approx(4 * one.activations, rel=1e-6)


def test_what_is_said():
    found = MemoryNeeded(2**30, 3 * 2**30, 2 * 2**30)
    assert found.short
    text = str(found)
    assert "about 4.0 GiB of memory (activations 3.0); 2.0 GiB are free: that is too" in text
    assert "lower training.batch" in text
    assert "too little" not in str(MemoryNeeded(1, 1, 2**30))
    assert "free" not in str(MemoryNeeded(1, 1, None))


def test_computing_again_takes_less_and_changes_nothing(clips):
    recipe = tiny_recipe(batch=1, support_frames=2, random="clip")
    backbone = replace(recipe.model.backbone, frozen_stages=0, widths=(16, 16, 16, 16))
    recipe = replace(recipe, model=replace(recipe.model, backbone=backbone))
    batch = clips.draw(recipe.training, seed=0, step=0).batch(TRANSFORM)
    found = []
    for again in (False, True):
        detector = initial_detector(recipe, seed=0, start=None).train()
        for module in detector.backbone.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        settings = replace(recipe.training, checkpointing=again)
        needs = memory_needed(
            detector, batch, settings, clips_at_once=8, device=torch.device("cpu")
        )
        if again:
            checkpoint_backbone(detector.backbone)
        losses = detector(batch)
        torch.stack(list(losses.values())).sum().backward()
        gradients = [p.grad for p in detector.parameters() if p.grad is not None]
        found.append((losses, gradients, needs.activations))
    (losses, gradients, plain), (others, again, less) = found
    torch.testing.assert_close(losses, others)
    torch.testing.assert_close(gradients, again)
    assert len(gradients) > 20
    assert less < 0.7 * plain


def test_statistics_of_the_batch_are_refused():
    detector = initial_detector(tiny_recipe(), seed=0, start=None).train()
    with pytest.raises(TrovidError, match="freeze its stages"):
        checkpoint_backbone(detector.backbone)


def test_a_training_says_what_it_needs_and_where_it_goes_on(clips, tmp_path):
    recipe, said = tiny_recipe(steps=2), []
    for _ in range(2):
        train(recipe, clips, seed=0, checkpoint=tmp_path / "c", device="cpu", say=said.append)
    assert "a step needs about" in said[0]
    assert said[1] == f"goes on after step 2 of 2, which {tmp_path / 'c'} holds"
    assert len(said) == 2


def test_a_loss_that_is_no_number_stops_with_what_was_looked_at(clips, tmp_path):
    recipe = tiny_recipe(steps=30, learning_rate=1e6, clip_norm=1e9, optimizer="sgd")
    with pytest.raises(TrovidError, match=r"step \d+: .*; what it looked at is in"):
        train(recipe, clips, seed=0, checkpoint=tmp_path / "c.checkpoint", device="cpu")
    (picture,) = tmp_path.glob("c.step*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
