"""Numbers, texts and sizes that no recipe may have."""

from __future__ import annotations

import dataclasses
import json

import pytest
import yaml

from trovid.errors import TrovidError
from trovid.recipes import flat_values, load_recipe, parse_recipe, recipe_names, recipe_values
from trovid.recipes.ranges import check_provenance, range_of


def changed(**changes) -> str:
    values = json.loads(json.dumps(recipe_values(load_recipe("synthvid-selsa-troi"))))
    for key, value in changes.items():
        node = values
        *path, last = key.split("__")
        for part in path:
            node = node[part]
        node[last] = value
    return yaml.safe_dump(values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training__steps": -5}, r"mine.yaml: training.steps must lie in 1\.\.1e\+09, but is -5"),
        ({"image__shorter": 0}, r"image.shorter must lie in 1\.\.16384, but is 0"),
        ({"inference__max_detections": -1}, r"inference.max_detections must lie in 1\.\.100000"),
        (
            {"image__std": [58.0, 0.0, 57.0]},
            r"image.std\[1\] must lie in 1e-06\.\.1024",
        ),
        ({"image__divisor": -16}, r"image.divisor must lie in 1\.\.1024, but is -16"),
        ({"inference__nms": float("nan")}, r"inference.nms must lie in 0\.\.1, but is nan"),
        ({"training__learning_rate": 10**400}, r"learning_rate must lie in 0\.\.1024, but is inf"),
        ({"training__steps": 10**30}, "training.steps must lie in"),
        ({"model__rpn__anchor_sizes": [[8, -3]]}, r"rpn.anchor_sizes\[0\]\[1\] must lie in 1"),
        ({"name": "../../x"}, "name must be a file's name, maybe with folders before it"),
        ({"name": "/x"}, "name must be a file's name"),
        ({"model__classes": []}, "classes must name at least one class"),
        ({"model__classes": ["a", "a"]}, "model.classes must hold each once"),
        ({"model__roi__levels": ["0", "0"]}, "model.roi.levels must hold each once"),
        (
            {"model__classes": ["a\x1b[31m"]},
            r"classes\[0\] must be text of .* printable",
        ),
        (
            {"name": ["x"] * 10**4},
            r"must be of type str, but is \['x', 'x', 'x', 'x', \.\.\.\]$",
        ),
        ({"model__classes": {"a": 1}}, "must be a list of values, but is {'a': 1}"),
    ],
)
def test_every_number_has_a_range_and_every_text_is_text(changes, message):
    with pytest.raises(TrovidError, match=message) as error:
        parse_recipe(changed(**changes), "mine.yaml")
    assert len(str(error.value)) < 300
    assert str(error.value).isprintable()


def test_the_ranges_are_stated_for_every_number():
    numbers = set()
    for name in recipe_names():
        for key, value in flat_values(load_recipe(name)).items():
            flat = [value]
            while flat and isinstance(flat[0], tuple):
                flat = [entry for part in flat for entry in part]
            if any(isinstance(v, int | float) and not isinstance(v, bool) for v in flat):
                numbers.add(key)
    assert len(numbers) > 40
    unbounded = {key for key in numbers if range_of(key) == range_of("unknown")}
    assert not unbounded, "each needs a line in recipes/ranges.py"


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 10)}]}}\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS + "name: *i\n", "must hold at most 100000 values, aliases included"),
        (MERGES + "name: *i\n", "must hold at most 100000 values, aliases included"),
        ("name: &a [*a]\n", r"\*a holds itself"),
        ("name: " + "[" * 500, "must be at most 20 levels deep"),
        ('{"name": ' + "[" * 200_000, "must be at most 20 levels deep|not YAML"),
        ("x" * (2**20 + 1), "must be at most 1 MiB long"),
        ("name: " + "9" * 5000, "not YAML: Exceeds the limit"),
        ("name: 2001-99-99\n", "not YAML: month must be in"),
        ("name: \x1b[31m\n", "not YAML"),
        ("name: !!python/object/apply:os.system [x]", "not YAML: could not determine a construct"),
    ],
)
def test_yaml_is_measured_before_anything_is_expanded(text, message):
    with pytest.raises(TrovidError, match=message) as error:
        parse_recipe(text, "mine.yaml")
    assert str(error.value).isprintable()


def test_names_beyond_the_basic_plane_survive_a_card():
    recipe = load_recipe("synthvid-selsa-troi")
    recipe = dataclasses.replace(
        recipe, model=dataclasses.replace(recipe.model, classes=("\U0001f6f8",))
    )
    assert parse_recipe(json.dumps(recipe_values(recipe)), "a card", complete=False) == recipe


@pytest.mark.parametrize(
    ("provenance", "message"),
    [
        ({"val_ap50": "high"}, r"a card: val_ap50 must lie in 0\.\.1, but is 'high'"),
        ({"val_ap50": 1e9}, "val_ap50 must lie in"),
        ({"val_ap50": 10**400}, "val_ap50 must lie in"),
        ({"test_ap50": {"all": None}}, "test_ap50 must lie in"),
        ({"test_track_ap": {"AP": 31}}, "test_track_ap must lie in"),
        ({"test_ap50": [1]}, "test_ap50 must be an object"),
        ({"minutes": float("nan")}, "minutes must lie in"),
        ({"data": 5}, "data must be an object, but is 5"),
        ({"published": {"value": []}}, "published.value must lie in"),
        ({"temporal_trained": 1}, "temporal_trained must be true or false"),
    ],
)
def test_what_is_read_of_a_card_has_a_range_too(provenance, message):
    check_provenance({"val_ap50": 0.5, "seed": 1, "anything": [{}]}, "a card")
    with pytest.raises(TrovidError, match=message):
        check_provenance(provenance, "a card")
