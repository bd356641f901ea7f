"""Weights files: round trip, and refusal of what does not fit."""

from __future__ import annotations

import pickle

import pytest
import torch

from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.recipes import load_recipe
from trovid.storage.tensor_files import read_tensors, save_tensors
from trovid.zoo.weights import load_weights, save_weights


@pytest.fixture
def file(tmp_path):
    recipe = load_recipe("synthvid-selsa-troi")
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    save_weights(path, build_detector(recipe), recipe, facts={"seed": 0}, half=False)
    return path


def test_weights_carry_their_recipe_and_facts(file):
    torch.manual_seed(0)
    original = build_detector(load_recipe("synthvid-selsa-troi")).state_dict()
    detector, card = load_weights(file)
    assert card.recipe == load_recipe("synthvid-selsa-troi")
    assert card.facts == {"seed": 0}
    for key, value in detector.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, original[key])
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def damaged(file, change):
    tensors, metadata = read_tensors(file)
    change(tensors, metadata)
    save_tensors(file, tensors, metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, m: t.pop("rpn.head.cls_logits.bias"), "missing: .*cls_logits"),
        (lambda t, m: t.update(extra=torch.zeros(1)), "unknown: .*extra"),
        (lambda t, m: t.update({"box_head.class_logits.bias": torch.zeros(3)}), "must have shape"),
        (lambda t, m: t["box_head.class_logits.bias"].fill_(torch.nan), "not finite"),
        (lambda t, m: m.pop("recipe"), "carries no recipe"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(file, change, message):
    damaged(file, change)
    with pytest.raises(TrovidError, match=message) as error:
        load_weights(file)
    assert str(file) in str(error.value)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_a_pickle_is_refused_and_never_executed(tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(TrovidError, match="not a safetensors file"):
        load_weights(path)
    with pytest.raises(TrovidError, match="no such file"):
        load_weights(tmp_path / "absent.safetensors")
