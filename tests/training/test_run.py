"""One training from beginning to end."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from tests.training.tiny import tiny_folder, tiny_recipe
from trovid.errors import TrovidError
from trovid.storage.tensor_files import read_tensors
from trovid.training.run import train_recipe, weights_file
from trovid.zoo.weights import read_card


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_folder(tmp_path_factory.mktemp("run") / "data")


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "runs"
    recipe = tiny_recipe(steps=12)
    return train_recipe(recipe, data=data, out=out, seed=1, validate=1, device="cpu"), recipe


def test_what_a_training_leaves(trained):
    file, recipe = trained
    assert file == weights_file(file.parent, "tiny", 1)
    names = {path.name for path in file.parent.iterdir()}
    assert names == {"tiny-seed1.safetensors", "tiny-seed1.jsonl", "frames"}
    card = read_card(file)
    assert card.recipe == recipe
    assert (card.facts["seed"], card.facts["precision"]) == (1, "float32")
    assert 0 <= card.facts["val_ap50"] <= 1
    log = [json.loads(line) for line in file.with_suffix(".jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [10, 12]
    assert log[0]["loss"] == pytest.approx(
        sum(log[0][name] for name in ("rpn_objectness", "rpn_boxes", "class", "boxes"))
    )


def test_what_is_there_is_not_made_again(trained, data):
    file, recipe = trained
    before = file.stat().st_mtime_ns
    assert train_recipe(recipe, data=data, out=file.parent, seed=1) == file
    assert file.stat().st_mtime_ns == before


def test_an_interrupted_training_goes_on(trained, data, tmp_path, monkeypatch):
    file, recipe = trained
    out = tmp_path / "runs"

    class Stop(Exception):
        pass

    def stop(*_, **__):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr("trovid.training.run.save_weights", stop)
        with pytest.raises(Stop):
            train_recipe(recipe, data=data, out=out, seed=1, validate=0, device="cpu")
    assert (out / "tiny-seed1.checkpoint").exists()
    again = train_recipe(recipe, data=data, out=out, seed=1, validate=0, device="cpu")
    assert not (out / "tiny-seed1.checkpoint").exists()
    ours, theirs = read_tensors(again)[0], read_tensors(file)[0]
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def test_a_recipe_trains_the_one_that_it_starts_from(data, tmp_path, monkeypatch):
    first = replace(tiny_recipe("synthvid-start", steps=2), name="first")
    monkeypatch.setattr("trovid.training.run.load_recipe", {"first": first}.__getitem__)
    recipe = tiny_recipe(steps=1, start="first", learning_rate=0.0)
    file = train_recipe(recipe, data=data, out=tmp_path, seed=0, validate=0, device="cpu")
    start = tmp_path / "first-seed0.safetensors"
    key = "backbone.stages.2.0.first.0.weight"
    assert torch.allclose(read_tensors(file)[0][key].float(), read_tensors(start)[0][key].float())
    start.unlink()
    (tmp_path / "tiny-seed0.safetensors").rename(tmp_path / "given.safetensors")
    train_recipe(
        recipe, data=data, out=tmp_path, seed=0, start=tmp_path / "given.safetensors", validate=0
    )
    assert not start.exists()


def test_labels_of_other_classes_are_one_line(data, tmp_path):
    recipe = tiny_recipe()
    recipe = replace(recipe, model=replace(recipe.model, classes=("circle",)))
    with pytest.raises(TrovidError, match="the labels have other classes than recipe tiny"):
        train_recipe(recipe, data=data, out=tmp_path, seed=0)
