"""The form of a detector in training, and that it is as before in the end."""

from __future__ import annotations

import pytest
import torch

from tests.training.tiny import tiny_recipe
from trovid.errors import TrovidError
from trovid.training.start import initial_detector
from trovid.training.training_form import plain_form, training_form


def forms(detector) -> list[bool]:
    """Which parts have a forward of their own."""
    return ["forward" in vars(part) for part in (detector.backbone, detector.rpn.head)]


def evaluated(recipe):
    """A detector whose BatchNorm takes no statistics."""
    detector = initial_detector(recipe, seed=0, start=None).train()
    for module in detector.backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    return detector


def test_without_a_wish_nothing_changes():
    recipe = tiny_recipe()
    detector = evaluated(recipe)
    with training_form(detector, recipe.training):
        assert forms(detector) == [False, False]


def test_activations_are_computed_again_as_long_as_it_lasts():
    recipe = tiny_recipe(checkpointing=True)
    detector, images = evaluated(recipe), torch.rand(2, 3, 64, 96)
    wanted = detector.backbone(images)
    names = list(detector.state_dict())
    with training_form(detector, recipe.training):
        assert forms(detector) == [True, False]
        torch.testing.assert_close(detector.backbone(images), wanted)
        assert list(detector.state_dict()) == names
        with plain_form(detector):
            assert forms(detector) == [False, False]
        assert forms(detector) == [True, False]
    assert forms(detector) == [False, False]


def test_it_is_gone_after_an_error_too(monkeypatch):
    made = []
    monkeypatch.setattr(torch, "compile", lambda forward, **_: made.append(forward) or forward)
    monkeypatch.setattr("trovid.training.training_form.check_compile", lambda device: None)
    recipe = tiny_recipe(compile=True)
    detector = evaluated(recipe)

    def fail():
        with training_form(detector, recipe.training):
            assert forms(detector) == [True, True]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert len(made) == 2
    assert forms(detector) == [False, False]


def test_statistics_of_the_batch_and_computing_again_are_refused():
    recipe = tiny_recipe(checkpointing=True)
    detector = initial_detector(recipe, seed=0, start=None).train()
    refused = pytest.raises(TrovidError, match="freeze its stages")
    with refused, training_form(detector, recipe.training):
        pass
    assert forms(detector) == [False, False]
