"""Recipes: strict reading, errors that name the key, and models built from them."""

from __future__ import annotations

import pytest
import yaml

from trovid.errors import TrovidError
from trovid.models import build_detector, load_recipe, recipe_names
from trovid.models.recipes import parse_recipe, recipe_values


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


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_reads_back_as_itself_and_builds(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert parse_recipe(yaml.safe_dump(plain(recipe_values(recipe))), "copy") == recipe
    assert build_detector(recipe).box_head.num_classes == len(recipe.model.classes)


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
        ({"model__backbone__name": "large"}, "must be one of small"),
        ({"model__roi": None}, "model.roi must hold keys and values"),
    ],
)
def test_a_wrong_key_is_named(changes, message):
    with pytest.raises(TrovidError, match=message):
        parse_recipe(changed(**changes), "mine.yaml")


def test_a_missing_key_and_broken_yaml_are_named():
    with pytest.raises(TrovidError, match=r"mine.yaml: the recipe lacks model"):
        parse_recipe("name: x\n", "mine.yaml")
    with pytest.raises(TrovidError, match=r"mine.yaml:3: not YAML"):
        parse_recipe("name: x\nmodel: [1\nimage: }", "mine.yaml")
    with pytest.raises(TrovidError, match="did you mean 'synthvid-selsa'"):
        load_recipe("synthvid-slsa")
