"""The data of a training: checked, divided, and of the classes that are asked for."""

from __future__ import annotations

import pytest
import torch

from tests.cli.command import trovid_command
from tests.datasets.labelled_folder import folder_labels, labelled_folder, write_labels
from tests.training.tiny import tiny_recipe
from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.recipes import changed_recipe, load_recipe
from trovid.training.data import training_data


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TROVID_CACHE", str(tmp_path / "cache"))
    return labelled_folder(tmp_path / "my-videos")


def test_wrong_data_stop_it_with_the_list(capsys, folder, tmp_path):
    labels = folder_labels()
    labels["videos"]["street"]["0"][0]["box"] = [200, 0, 240, 40]
    labels["videos"]["yard"]["0"][0]["id"] = 2
    write_labels(folder, labels)
    status, out, said = trovid_command(
        capsys, "train", "--data", folder, "--out", tmp_path / "runs"
    )
    assert (status, out) == (2, "")
    assert any(line.startswith("trovid: error box-outside: street frame 0") for line in said)
    assert any(line.startswith("trovid: error repeated-id: yard frame 0") for line in said)
    assert (
        "the data are wrong in 2 ways (box-outside, repeated-id), nothing was trained" in said[-1]
    )
    assert not list((tmp_path / "runs").glob("*.safetensors"))


def test_classes_that_are_asked_for(folder):
    recipe, said = load_recipe("own"), []
    found = training_data(recipe, folder, classes=("star",), say=said.append)
    assert found.recipe.model.classes == found.train.class_names == ("star",)
    assert len(found.train.objects) == 12
    other = tiny_recipe()
    with pytest.raises(TrovidError, match=r"'square' is missing; .*`classes` all"):
        training_data(other, folder, say=said.append)
    assert training_data(other, folder, classes=("all",), say=said.append).train.class_names == (
        "cup",
        "star",
    )
    with pytest.raises(TrovidError, match="'stra' is not labelled; did you mean 'star'"):
        training_data(recipe, folder, classes=("stra",), say=said.append)


def test_the_same_classes_in_another_order_are_put_in_order(folder):
    base = changed_recipe(load_recipe("own"), {"training.own_data": False})
    recipe = changed_recipe(base, {"model.classes": ["star", "cup"]})
    found = training_data(recipe, folder, say=print)
    names = [found.train.class_names[label] for label in found.train.objects.labels[:2]]
    assert found.train.class_names == ("star", "cup")
    assert names == ["cup", "star"]


@pytest.mark.parametrize("name", ["coco-mobilenet-v3-320-fpn", "coco-mask-r50-fpn"])
def test_other_classes_leave_no_label_of_coco_without_a_class(folder, name):
    recipe = training_data(load_recipe(name), folder, classes=("star",), say=print).recipe
    with torch.device("meta"):
        head = build_detector(recipe).box_head
    assert recipe.model.unused == ()
    assert (head.num_classes, len(head.class_logits.weight)) == (1, 2)


def test_labels_without_a_class_that_the_classes_do_not_reach_are_named():
    recipe = changed_recipe(load_recipe("coco-r50-fpn"), {"model.classes": ["star"]})
    with pytest.raises(TrovidError, match=r"label 83, .* end at 11: give model\.unused=\[\]"):
        build_detector(recipe)
