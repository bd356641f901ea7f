"""One training from beginning to end."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from tests.media import encode
from tests.training.tiny import picture, tiny_folder, tiny_recipe
from trovid.errors import TrovidError
from trovid.recipes import recipe_values
from trovid.storage.tensor_files import read_tensors
from trovid.training.loop import Stopped
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
    assert names == {"frames", *(f"tiny-seed1.{end}" for end in ("safetensors", "jsonl", "png"))}
    card = read_card(file)
    assert card.recipe == recipe
    assert (card.provenance["seed"], card.provenance["precision"]) == (1, "float32")
    assert 0 <= card.provenance["val_ap50"] <= 1
    assert card.provenance.keys() >= {"processor_minutes", "memory_mb", "finished", "machine"}
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


def interrupted(recipe, data, out, monkeypatch):
    """A training that was stopped after its first step."""

    @contextmanager
    def stopping():
        yield lambda: True

    with pytest.raises(Stopped, match=r"stopped after step 1 of 3, which .*tiny-seed1.checkpoint"):
        train_recipe(
            recipe, data=data, out=out, seed=1, validate=0, device="cpu", stopping=stopping
        )
    assert (out / "tiny-seed1.checkpoint").exists()


def test_a_stopped_training_goes_on_to_the_same_bits(data, tmp_path, monkeypatch):
    recipe, ends = tiny_recipe(steps=3), []
    for out in (tmp_path / "whole", tmp_path / "parts"):
        if out.name == "parts":
            interrupted(recipe, data, out, monkeypatch)
        file = train_recipe(recipe, data=data, out=out, seed=1, validate=0, device="cpu")
        ends.append(read_tensors(file)[0])
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


def test_a_checkpoint_of_other_data_is_refused_however_alike(tmp_path, monkeypatch):
    """Contents exchanged under the same labels: the same length, the same second."""
    folder = tiny_folder(tmp_path / "data")
    for labels in folder.glob("*.json"):
        labels.write_text(labels.read_text().replace(f"{folder}/", ""))
    one, out, recipe = folder / "one.mp4", tmp_path / "runs", tiny_recipe(steps=3)
    other = encode(tmp_path / "other.mp4", num_frames=12, picture=lambda i: 255 - picture(i))
    contents = [one.read_bytes(), other.read_bytes()]
    size = max(map(len, contents))
    one.write_bytes(contents[0].ljust(size, b"\0"))
    os.utime(one, (10**9, 10**9))
    interrupted(recipe, folder, out, monkeypatch)
    cached = {path.name for path in (out / "frames").iterdir()}
    one.write_bytes(contents[1].ljust(size, b"\0"))
    os.utime(one, (10**9, 10**9))
    with pytest.raises(TrovidError, match="whose data was another: give the same data again"):
        train_recipe(recipe, data=folder, out=out, seed=1, validate=0, device="cpu")
    assert len({path.name for path in (out / "frames").iterdir()} - cached) == 1
    one.write_bytes(contents[0].ljust(size, b"\0"))  # moved elsewhere, it is the same data
    folder.rename(tmp_path / "moved")
    train_recipe(recipe, data=tmp_path / "moved", out=out, seed=1, validate=0, device="cpu")


def test_another_start_is_refused_on_resume(trained, data, tmp_path, monkeypatch):
    file, _ = trained
    recipe, out = tiny_recipe(steps=3), tmp_path / "runs"
    interrupted(recipe, data, out, monkeypatch)
    with pytest.raises(TrovidError, match="whose start was another"):
        train_recipe(recipe, data=data, out=out, seed=1, start=file, validate=0, device="cpu")


def test_the_checkpoint_stays_until_the_weights_were_read_back(data, tmp_path, monkeypatch):
    def broken(file, *_, **__):
        file.write_bytes(b"torn")

    monkeypatch.setattr("trovid.training.run.save_weights", broken)
    with pytest.raises(TrovidError, match="is not a safetensors file"):
        train_recipe(tiny_recipe(steps=1), data=data, out=tmp_path, seed=1, validate=0)
    assert (tmp_path / "tiny-seed1.checkpoint").exists()


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_a_recipes_name_leads_nowhere_else(data, tmp_path, name):
    recipe = replace(tiny_recipe(steps=1), name=name)
    with pytest.raises(TrovidError, match="leads out of"):
        train_recipe(recipe, data=data, out=tmp_path / "runs", seed=0, validate=0)
    assert not any(tmp_path.iterdir())


def test_a_start_that_does_not_fit_is_said_before_the_work(data, tmp_path):
    recipe = tiny_recipe(steps=1)
    start = train_recipe(recipe, data=data, out=tmp_path, seed=0, validate=0)
    wider = replace(recipe.model.box_head, hidden=(24, 24), selsa_heads=2)
    other = replace(recipe, name="other", model=replace(recipe.model, box_head=wider))
    shutil.rmtree(tmp_path / "frames")
    with pytest.raises(TrovidError, match="must have shape"):
        train_recipe(other, data=data, out=tmp_path, seed=0, start=start, validate=0)
    with pytest.raises(TrovidError, match="has no published weights"):
        train_recipe(other, data=data, out=tmp_path, seed=0, backbone=start, validate=0)
    user_recipe = replace(other, training=replace(other.training, own_data=True))
    (tmp_path / "damaged.safetensors").write_bytes(start.read_bytes()[:1000])
    for words in ({"start": tmp_path / "damaged.safetensors"}, {"backbone": start}):
        with pytest.raises(TrovidError):
            train_recipe(user_recipe, data=data, out=tmp_path, seed=0, validate=0, **words)
    assert not (tmp_path / "frames").exists()


def test_a_recipe_trains_the_one_that_it_starts_from(data, tmp_path):
    first = tmp_path / "first.yaml"
    values = replace(tiny_recipe("synthvid-start", steps=2), name="first")
    first.write_text(json.dumps(recipe_values(values)))
    recipe = tiny_recipe(steps=1, start=str(first), learning_rate=0.0)
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


@pytest.mark.parametrize(("videos", "lines"), [(1, 1), (None, 0)])
def test_videos_that_are_not_used_are_said(data, tmp_path, videos, lines):
    recipe, said = tiny_recipe(steps=1, videos=videos), []
    train_recipe(recipe, data=data, out=tmp_path, seed=0, validate=0, say=said.append)
    told = "recipe tiny: the first 1 of 2 training videos are used (training.videos; null for all)"
    assert [line for line in said if line.startswith("recipe ")] == [told] * lines


def test_labels_of_other_classes_are_one_line(data, tmp_path):
    recipe = tiny_recipe()
    recipe = replace(recipe, model=replace(recipe.model, classes=("circle",)))
    with pytest.raises(TrovidError, match="the labels have other classes than recipe tiny"):
        train_recipe(recipe, data=data, out=tmp_path, seed=0)
