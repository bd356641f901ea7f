"""Weights files: round trip, and refusal of what does not fit."""

from __future__ import annotations

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
    save_weights(path, build_detector(recipe), recipe, provenance={"seed": 0}, half=False)
    return path


def test_weights_carry_their_recipe_and_provenance(file):
    torch.manual_seed(0)
    original = build_detector(load_recipe("synthvid-selsa-troi")).state_dict()
    detector, card = load_weights(file)
    assert card.recipe == load_recipe("synthvid-selsa-troi")
    assert card.provenance == {"seed": 0}
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


def changed_detector(name, value):
    recipe = load_recipe("synthvid-selsa-troi")
    detector = build_detector(recipe)
    with torch.no_grad():
        detector.get_parameter(name).view(-1)[0] = value
    return detector, recipe


def test_a_weight_beyond_float16_is_kept_and_said(tmp_path, caplog):
    name = "box_head.class_logits.bias"
    detector, recipe = changed_detector(name, 70_000.0)
    save_weights(tmp_path / "model.safetensors", detector, recipe, provenance={})
    loaded, _ = load_weights(tmp_path / "model.safetensors")
    assert loaded.get_parameter(name)[0] == 70_000
    tensors = read_tensors(tmp_path / "model.safetensors")[0]
    assert [key for key, value in tensors.items() if value.dtype == torch.float32] == [name]
    (said,) = [record.getMessage() for record in caplog.records]
    assert f"{name} is beyond float16 and is stored as float32" in said


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_not_written(tmp_path, value):
    detector, recipe = changed_detector("box_head.class_logits.bias", value)
    with pytest.raises(TrovidError, match=r"is not written: box_head.class_logits.bias holds"):
        save_weights(tmp_path / "model.safetensors", detector, recipe, provenance={})
    assert not any(tmp_path.iterdir())


def test_what_is_no_weights_file_is_one_line(tmp_path):
    with pytest.raises(TrovidError, match="no such file"):
        load_weights(tmp_path / "absent.safetensors")
