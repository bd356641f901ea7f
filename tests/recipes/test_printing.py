"""What stands beside the values of a printed recipe."""

from __future__ import annotations

import pytest

from trovid.recipes import load_recipe, recipe_text


def lines(text: str) -> dict[str, str]:
    """What stands beside each value, by dotted key."""
    found, path = {}, []
    for line in text.splitlines():
        key, _, words = line.partition("  # ")
        name = key.partition(":")[0]
        depth = (len(key) - len(key.lstrip())) // 2
        if line.startswith("#") or not name.strip().isidentifier():
            continue
        path[depth:] = [name.strip()]
        found[".".join(path)] = words
    return found


def test_every_value_has_its_source():
    beside = lines(recipe_text(load_recipe("synthvid-selsa-troi")))
    assert beside["name"] == "[synthvid-selsa-troi]"
    assert beside["model.classes"] == "[synthvid-start]"
    assert beside["model.backbone.frozen_stages"].startswith("[synthvid-single] not trained")
    assert beside["model.roi.temporal.top_k"].startswith("[synthvid-selsa-troi] K, the most")
    assert beside["model.rpn.lowest_iou"] == "[default] of an object's best anchor"
    assert beside["training.learning_rate"] == "[synthvid-single]"
    assert beside["training"] == "Data, schedule and support frames of a training."
    parts = {"model", "model.backbone", "model.rpn", "model.roi", "model.roi.temporal"}
    parts |= {"model.box_head", "image", "inference", "training", "training.augmentation"}
    assert {key for key, words in beside.items() if not words.startswith("[")} == parts


def test_remarks_stand_beside_the_values_that_they_are_on():
    beside = lines(recipe_text(load_recipe("paper/selsa-troi-r101")))
    assert beside["image.longer"] == "[paper/single-r50] bound of the longer side (chosen)"
    assert beside["model.backbone.name"] == "[paper/selsa-troi-r101]"
    assert beside["model.rpn.samples"].endswith("(chosen)")
    assert beside["model.rpn.positive_fraction"].startswith("[default]")
    assert beside["model.rpn.positive_fraction"].endswith("(chosen)")
    published = lines(recipe_text(load_recipe("mmtracking/selsa-troi-r101")))
    assert not any("chosen" in words for words in published.values())


def test_values_of_a_file_and_of_its_base(tmp_path):
    file = tmp_path / "mine.yaml"
    names = ["no", "traffic  light", "réverbère", "cell-phone", *(f"class {i}" for i in range(30))]
    file.write_text(
        f"base: paper/selsa-troi-r50\nmodel: {{classes: {names}}}\nimage: {{longer: 800}}\n",
        encoding="utf-8",
    )
    recipe = load_recipe(file)
    text = recipe_text(recipe)
    assert text.startswith(f"# mine, from {file}, on the base of paper/selsa-troi-r50\n")
    beside = lines(text)
    assert beside["name"] == beside["model.classes"] == "[mine.yaml]"
    assert beside["image.longer"] == "[mine.yaml] bound of the longer side"
    assert beside["image.shorter"].startswith("[paper/single-r50]")
    (tmp_path / "copy.yaml").write_text(text, encoding="utf-8")
    copy = load_recipe(tmp_path / "copy.yaml")
    assert copy == recipe
    assert copy.model.classes == tuple(names)
    sources = {w.partition("]")[0] for w in lines(recipe_text(copy)).values() if w.startswith("[")}
    assert sources == {"[copy.yaml"}


@pytest.mark.parametrize("name", ["synthvid-start", "coco-person-r50-fpn", "mmtracking/selsa-x101"])
def test_the_lines_of_values_are_not_wide(name):
    text = recipe_text(load_recipe(name))
    assert max(len(line.partition("  # ")[0]) for line in text.splitlines()[3:]) <= 100
