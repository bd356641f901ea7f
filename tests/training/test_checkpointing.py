"""Activations that are computed again take less and change nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.training.tiny import TRANSFORM, tiny_recipe
from trovid.errors import TrovidError
from trovid.training.checkpointing import checkpoint_backbone
from trovid.training.memory_needed import memory_needed
from trovid.training.start import initial_detector


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
