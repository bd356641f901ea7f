"""Recipes: strict reading, errors that name the key, and models built from them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
import yaml

from tests.detectors.candidates import CANDIDATES
from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.recipes.schema import (
    load_recipe,
    parse_recipe,
    recipe_file,
    recipe_names,
    recipe_values,
)


def changed(**changes) -> str:
    recipe = load_recipe("synthvid-selsa-troi")
    values = yaml.safe_load(yaml.safe_dump(plain(recipe_values(recipe))))
    for key, value in changes.items():
        node = values
        *path, last = key.split("__")
        for part in path:
            node = node[part]
        node[last] = value
    return yaml.safe_dump(values)


def test_a_backbone_of_timm_stands_in_a_recipe():
    pytest.importorskip("timm", reason="the optional package timm is not installed")
    text = changed(
        model__backbone={
            "name": "timm",
            "model": "convnext_atto",
            "levels": ["stages.1"],
            "reduction": [96],
            "output_stride": None,
        },
        model__rpn__levels=["stages.1"],
        model__roi__levels=["stages.1"],
    )
    detector = build_detector(parse_recipe(text, "mine.yaml")).eval()
    with torch.no_grad():
        bank = detector.encode(torch.rand(2, 3, 96, 128))
        (scored,) = detector.detect(torch.rand(1, 3, 96, 128), [bank], options=CANDIDATES)
    assert torch.isfinite(scored.boxes).all()
    assert list(bank.maps) == ["stages.1"]


def test_parts_that_do_not_fit_are_named():
    text = changed(model__roi__levels=["conv5"])
    with pytest.raises(ValueError, match=r"levels must be of \['0'\], but one is conv5"):
        build_detector(parse_recipe(text, "mine.yaml"))


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_reads_back_as_itself_and_builds(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert parse_recipe(yaml.safe_dump(plain(recipe_values(recipe))), "copy") == recipe
    with torch.device("meta"):
        assert build_detector(recipe).box_head.num_classes == len(recipe.model.classes)


def test_the_full_size_recipes_are_what_their_script_writes():
    script = Path(__file__).parents[2] / "tools" / "write_recipes.py"
    texts = runpy.run_path(str(script))["recipe_texts"]()
    assert {n for n in recipe_names() if "/" in n} == set(texts)
    for name, text in texts.items():
        assert recipe_file(name).read_text(encoding="utf-8") == text


def test_the_twelve_of_a_family_differ_only_in_what_they_compare():
    def rest(name):
        values = recipe_values(load_recipe(name))
        values["model"]["backbone"].pop("name")
        values["model"]["roi"].pop("temporal")
        for key in ("selsa_heads", "hidden"):
            values["model"]["box_head"].pop(key)
        values["training"].pop("support_frames")
        values["inference"].pop("target_among_support")
        return values["model"], values["image"], values["inference"], values["training"]

    for family in ("paper", "mmtracking"):
        names = [n for n in recipe_names() if n.startswith(family)]
        assert len(names) == 12
        assert all(rest(name) == rest(names[0]) for name in names)


def test_a_card_of_the_first_version_is_read_with_what_it_did():
    recipe = load_recipe("synthvid-selsa-troi")
    values = plain(recipe_values(recipe))
    del values["published"], values["image"]["mean"], values["model"]["box_head"]["delta_stds"]
    text = yaml.safe_dump(values)
    assert parse_recipe(text, "old card", complete=False) == recipe
    with pytest.raises(TrovidError, match="lacks published"):
        parse_recipe(text, "mine.yaml")


def test_the_four_differ_only_in_what_they_compare():
    def rest(name):
        values = recipe_values(load_recipe(name))
        values["model"]["roi"].pop("temporal")
        values["model"]["box_head"].pop("selsa_heads")
        values["training"].pop("support_frames")
        values.pop("name")
        return values

    names = ["synthvid-single", "synthvid-single-troi", "synthvid-selsa", "synthvid-selsa-troi"]
    assert all(rest(name) == rest(names[0]) for name in names)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__roi__output_siz": 7}, "model.roi has no key 'output_siz'; did you mean"),
        ({"model__roi__output_size": "seven"}, "model.roi.output_size must be of type int"),
        ({"model__rpn__pre_nms": [1, 2, 3]}, "model.rpn.pre_nms must be a list of 2 values"),
        ({"model__backbone__name": "large"}, "backbone.name must be one of small, resnet18"),
        ({"model__roi": None}, "model.roi must hold keys and values"),
    ],
)
def test_a_wrong_key_is_named(changes, message):
    with pytest.raises(TrovidError, match=message):
        parse_recipe(changed(**changes), "mine.yaml")


def test_a_missing_key_and_broken_yaml_are_named():
    with pytest.raises(TrovidError, match=r"mine.yaml: the recipe lacks published, model"):
        parse_recipe("name: x\n", "mine.yaml")
    with pytest.raises(TrovidError, match=r"mine.yaml:3: not YAML"):
        parse_recipe("name: x\nmodel: [1\nimage: }", "mine.yaml")
    with pytest.raises(TrovidError, match="did you mean 'synthvid-selsa'"):
        load_recipe("synthvid-slsa")
