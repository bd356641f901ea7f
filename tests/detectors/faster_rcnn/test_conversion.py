"""Checkpoints of the published layout: converted key by key, refused where they do not fit."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest
import torch

from tests.zoo.published_files import save_published, small_recipe
from trovid.detectors.faster_rcnn.conversion import convert_published
from trovid.errors import TrovidError
from trovid.storage.hashes import sha256_of
from trovid.storage.tensor_files import save_tensors
from trovid.zoo.weights import load_weights


@pytest.mark.parametrize("name", ["selsa", "selsa-troi"])
def test_a_checkpoint_becomes_a_weights_file_with_its_recipe_and_source(tmp_path, name):
    recipe = small_recipe(name)
    state = save_published(tmp_path / "published.pth", recipe)
    tensors, metadata = convert_published(tmp_path / "published.pth", recipe)
    save_tensors(tmp_path / "model.safetensors", tensors, metadata)
    detector, card = load_weights(tmp_path / "model.safetensors")
    assert card.recipe == recipe
    assert card.provenance["source"] == "published.pth"
    assert card.provenance["source_sha256"] == sha256_of(tmp_path / "published.pth")
    assert json.loads(metadata["facts"])["layout"] == "mmtracking 0.14.0"
    for key, value in detector.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, state[key]), key


def changed(path, change):
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)


CLASS_BIAS = "detector.roi_head.bbox_head.fc_cls.bias"
RPN_BIAS = "detector.rpn_head.rpn_conv.bias"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["state_dict"].update(extra=torch.zeros(1)), "1 unexpected keys, first extra"),
        (lambda c: c["state_dict"].pop(RPN_BIAS), "missing: .*rpn.head.conv.0.0.bias"),
        (lambda c: c["state_dict"].update({CLASS_BIAS: torch.zeros(5)}), r"must have shape \[31\]"),
        (lambda c: c["state_dict"][CLASS_BIAS].fill_(torch.nan), "not finite"),
        (lambda c: c["meta"].update(CLASSES=("cat", "dog")), "2 classes which are not the 30"),
        (lambda c: c.pop("state_dict"), "no `state_dict` of tensors"),
        (lambda c: c["state_dict"].update({CLASS_BIAS: 3}), "must hold tensors by name"),
        (lambda c: c["state_dict"].update({5: torch.zeros(1)}), "must hold tensors by name, but 5"),
        (lambda c: c.update(meta=[1]), None),
        (lambda c: c["meta"].update(CLASSES=5), "`CLASSES` must be a list of names"),
        (
            lambda c: c["state_dict"].update({CLASS_BIAS: torch.zeros(31, dtype=torch.complex64)}),
            "must be an ordinary tensor",
        ),
        (
            lambda c: c["state_dict"].update({CLASS_BIAS: torch.zeros(31).to_sparse()}),
            "must be an ordinary tensor",
        ),
        (
            lambda c: c["state_dict"].update({CLASS_BIAS: torch.zeros(1).expand(2**40)}),
            "must have shape",
        ),
    ],
    ids=[
        *("unknown", "missing", "shape", "nan", "classes", "no-state", "no-tensor", "no-name"),
        *("no-meta", "no-classes", "complex", "sparse", "huge"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, change, message):
    path, recipe = tmp_path / "published.pth", small_recipe("selsa")
    save_published(path, recipe)
    changed(path, change)
    if message is None:
        assert convert_published(path, recipe)
        return
    with pytest.raises(TrovidError, match=message) as error:
        convert_published(path, recipe)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "key",
    [
        "detector.backbone.layer1.{level0:>3000000000}",
        "detector.backbone.layer1.{level0.__class__.__mro__}",
        "detector.backbone.layer1.{nothing}",
        "detector.neck.convs.99999999999999999999.conv.weight",
        "detector.backbone.layer1.\\1\\g<0>",
    ],
)
def test_text_of_a_key_is_only_copied(tmp_path, key):
    path, recipe = tmp_path / "published.pth", small_recipe("selsa")
    save_published(path, recipe)
    changed(path, lambda c: c["state_dict"].update({key: torch.zeros(1)}))
    with pytest.raises(TrovidError, match=r"unknown: |1 unexpected keys") as error:
        convert_published(path, recipe)
    text = key.removeprefix("detector.")
    assert text[-20:] in str(error.value).replace("\\\\", "\\")


def test_weights_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "published.pth"
    save_published(path, small_recipe("selsa"))
    with pytest.raises(TrovidError, match=r"missing: .*box_head\.attention\.2"):
        convert_published(path, small_recipe("selsa-troi"))
    other = small_recipe("selsa")
    head = replace(other.model.box_head, hidden=(128, 128))
    other = replace(other, model=replace(other.model, box_head=head))
    with pytest.raises(TrovidError, match="must have shape"):
        convert_published(path, other)


def test_a_pickle_is_no_checkpoint(tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(pickle.dumps(pytest.fail))
    with pytest.raises(TrovidError, match="not a checkpoint of tensors alone"):
        convert_published(path, small_recipe("selsa"))
