"""The detector that a training starts with."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.training.tiny import tiny_recipe
from trovid.errors import TrovidError
from trovid.training.start import initial_detector
from trovid.zoo.weights import save_weights


def state(recipe, **options):
    return initial_detector(recipe, **{"seed": 0, "start": None, **options}).state_dict()


def test_the_seed_decides():
    one, same, other = (state(tiny_recipe(), seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["backbone.lateral.weight"], other["backbone.lateral.weight"])


@pytest.fixture
def start(tmp_path):
    """Weights of a single-frame detector of two classes."""
    recipe = tiny_recipe("synthvid-single")
    recipe = replace(recipe, model=replace(recipe.model, classes=("circle", "square")))
    detector = initial_detector(recipe, seed=5, start=None)
    save_weights(tmp_path / "w.safetensors", detector, recipe, provenance={})
    return tmp_path / "w.safetensors", detector.state_dict()


def test_the_weights_of_a_simpler_detector_are_taken_over(start):
    path, given = start
    found, alone = state(tiny_recipe(), start=path), state(tiny_recipe())
    key = "backbone.lateral.weight"
    assert torch.allclose(found[key], given[key], atol=1e-3)
    assert not torch.allclose(found[key], alone[key], atol=1e-3)
    (embedding,) = (key for key in found if "embedding" in key and key.endswith("weight"))
    assert torch.equal(found[embedding], alone[embedding])  # the start knows no temporal attention


def test_rows_of_classes_with_the_same_name_are_taken_over(start):
    path, given = start
    key = "box_head.class_logits.weight"
    found = state(tiny_recipe("synthvid-single"), start=path)[key]
    assert torch.allclose(found, given[key][1:], atol=1e-3)  # square and background


def test_a_start_that_is_missing_is_one_line(tmp_path):
    with pytest.raises(TrovidError, match="no such file"):
        initial_detector(tiny_recipe(), seed=0, start=tmp_path / "none.safetensors")
