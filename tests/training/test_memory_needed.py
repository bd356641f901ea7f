"""What a step needs is told before it."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.training.tiny import TRANSFORM, tiny_recipe
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


def test_a_training_says_what_it_needs_and_where_it_goes_on(clips, tmp_path):
    recipe, said = tiny_recipe(steps=2), []
    for _ in range(2):
        train(recipe, clips, seed=0, checkpoint=tmp_path / "c", device="cpu", say=said.append)
    assert "a step needs about" in said[0]
    assert said[1] == f"goes on after step 2 of 2, which {tmp_path / 'c'} holds"
    assert len(said) == 2
