"""Which weights a training begins with, what it takes over, and what begins at random."""

from __future__ import annotations

import torch

from trovid.recipes import changed_recipe, load_recipe
from trovid.storage.tensor_files import read_tensors
from trovid.training.best_start import account, best_start
from trovid.training.start import initial_detector
from trovid.zoo.weights import embedded_models, read_card

SMALL = ("image.shorter=48", "image.longer=80", "training.validate_every=1", "training.warmup=1")


def test_what_is_taken_over_and_what_begins_at_random():
    photographs = changed_recipe(load_recipe("own"), {"model.classes": ["star", "sheep"]})
    assert best_start(photographs) == embedded_models()["everyday-selsa-troi"]
    recipe = changed_recipe(load_recipe("own-small"), {"model.classes": ["star", "sheep"]})
    start = best_start(recipe)
    assert start == embedded_models()["synthvid-selsa-troi"]
    said: list[str] = []
    detector = initial_detector(recipe, seed=0, start=start, say=said.append)
    plain = initial_detector(recipe, seed=0, start=None)
    (line,) = said
    assert "of the classes star" in line
    state, random = detector.state_dict(), plain.state_dict()
    tensors, _ = read_tensors(start)
    known = account(start, recipe, tensors, random)
    assert any(name.startswith("rpn") for name in known.random)
    assert all(name.startswith(("rpn", "box_head")) for name in known.random)
    for name in known.taken:
        assert torch.equal(state[name], tensors[name].float()) or name.startswith("box_head")
    assert all(
        torch.equal(state[name], random[name]) for name in known.random if name.startswith("rpn")
    )


def test_rows_of_new_classes_are_not_taken_over():
    start = embedded_models()["everyday-selsa-troi"]
    start_classes = read_card(start).recipe.model.classes
    for classes, ends in (
        (start_classes[:3], "nothing begins at random"),
        ((start_classes[0], "emu", "gnu"), "at random: the rows of emu, gnu"),
    ):
        recipe = changed_recipe(load_recipe("own"), {"model.classes": list(classes)})
        said: list[str] = []
        state = initial_detector(recipe, seed=0, start=start, say=said.append).state_dict()
        assert said[0].endswith(f"; {ends}")
        assert (": 100 % of" in said[0]) == (classes == start_classes[:3])
        known = account(start, recipe, read_tensors(start)[0], state)
        total = sum(v.numel() for k, v in state.items() if not k.endswith("num_batches_tracked"))
        rows = sum(state[f"box_head.class_logits.{part}"][0].numel() for part in ("weight", "bias"))
        new = len(classes) - len(known.classes)
        assert round(known.share * total) == total - new * rows
