"""Recipes from YAML files: whole ones, those with a base, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
import yaml

from tests.detectors.candidates import CANDIDATES
from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.recipes import (
    NonLocalRecipe,
    TimmBackboneRecipe,
    TrainingFreeRecipe,
    load_recipe,
    parse_recipe,
    recipe_values,
)
from trovid.recipes.typed_values import Reading, convert

OLD = Path(__file__).parent / "kitchen_at_919e246.yaml"


def changed(**changes) -> str:
    values = json.loads(json.dumps(recipe_values(load_recipe("synthvid-selsa-troi"))))
    for key, value in changes.items():
        node = values
        *path, last = key.split("__")
        for part in path:
            node = node[part]
        node[last] = value
    return yaml.safe_dump(values)


def derived(tmp_path: Path, **values) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_file_written_at_919e246_is_read():
    built_in = load_recipe("mmtracking/selsa-troi-r50")
    assert load_recipe(OLD) == dataclasses.replace(
        built_in,
        name="kitchen",
        published=None,
        model=dataclasses.replace(built_in.model, classes=("cat", "dog")),
        training=dataclasses.replace(built_in.training, steps=4000, drops=(2500, 3500)),
    )


def test_a_file_of_before_a_key_was_there_is_complete():
    @dataclasses.dataclass(frozen=True)
    class Part:
        samples: int = 1
        jitter: float = dataclasses.field(default=0.0, metadata={"since": "1.0"})

    assert convert({"samples": 1}, Part, Reading("mine.yaml")) == Part()
    with pytest.raises(TrovidError, match=r"mine.yaml: the recipe lacks samples$"):
        convert({}, Part, Reading("mine.yaml"))
    assert convert({}, Part, Reading("an old card", complete=False)) == Part()


def test_a_file_with_a_base_holds_what_differs(tmp_path):
    base = load_recipe("paper/selsa-troi-r101")
    file = derived(
        tmp_path,
        base=base.name,
        model={"classes": ["cat"], "roi": {"temporal": {"top_k": 2}}},
        image={"shorter": 480},
    )
    recipe = load_recipe(file)
    assert (recipe.name, recipe.published) == ("mine", None)
    temporal = dataclasses.replace(base.model.roi.temporal, top_k=2)
    assert recipe == dataclasses.replace(
        base,
        name="mine",
        published=None,
        model=dataclasses.replace(
            base.model, classes=("cat",), roi=dataclasses.replace(base.model.roi, temporal=temporal)
        ),
        image=dataclasses.replace(base.image, shorter=480),
    )


def test_a_base_may_be_a_file_beside_it(tmp_path, monkeypatch):
    (tmp_path / "whole.yaml").write_text(changed(name="kitchen"))
    derived(tmp_path, base="whole.yaml", training={"steps": 7})
    monkeypatch.chdir("/")
    recipe = load_recipe(tmp_path / "mine.yaml")
    assert recipe.training.steps == 7
    assert recipe.model == load_recipe("synthvid-selsa-troi").model


def test_another_kind_of_part_is_given_whole(tmp_path):
    backbone = {"name": "timm", "model": "convnext_atto"}
    with pytest.raises(TrovidError, match=r"model.backbone lacks levels, reduction, output_stride"):
        load_recipe(derived(tmp_path, base="paper/selsa-r50", model={"backbone": backbone}))
    backbone |= {"levels": ["stages.2"], "reduction": [256], "output_stride": None}
    recipe = load_recipe(derived(tmp_path, base="paper/selsa-r50", model={"backbone": backbone}))
    assert recipe.model.backbone == TimmBackboneRecipe(
        name="timm",
        model="convnext_atto",
        levels=("stages.2",),
        reduction=(256,),
        output_stride=None,
    )
    without = derived(tmp_path, base="paper/selsa-troi-r50", model={"roi": {"temporal": None}})
    assert load_recipe(without).model.roi == load_recipe("paper/selsa-r50").model.roi
    resnet = derived(tmp_path, base="paper/selsa-r50", model={"backbone": {"name": "resnet18"}})
    assert load_recipe(resnet).model.backbone.reduction == (0, 512)
    coco = derived(tmp_path, base="coco-r50-fpn", model={"classes": ["cat"], "unused": []})
    assert load_recipe(coco).model.name == "fasterrcnn_resnet50_fpn"


def test_a_rival_of_temporal_roi_align_has_its_name_and_a_name_may_stand_alone(tmp_path):
    def temporal(value):
        roi = {"roi": {"temporal": value}}
        return load_recipe(derived(tmp_path, base="paper/single-r50", model=roi)).model.roi.temporal

    assert temporal("training-free") == TrainingFreeRecipe()
    assert temporal({"name": "training-free", "top_k": 1}) == TrainingFreeRecipe(top_k=1)
    assert temporal({"name": "non-local", "top_k": None}) == NonLocalRecipe(top_k=None)
    with pytest.raises(TrovidError, match="keys and values, or be training-free, but is 'non-loc"):
        temporal("non-local")
    with pytest.raises(TrovidError, match=r"temporal.attention must be one of mean, dot, cosine"):
        temporal({"name": "training-free", "attention": "max"})
    with pytest.raises(TrovidError, match=r"temporal.name must be one of deformable, non-local"):
        temporal({"name": "flow"})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"base": "paper/selsa-r5"}, "mine.yaml: base: no recipe 'paper/selsa-r5'; did you mean"),
        ({"base": 5}, "mine.yaml: base must be a recipe's name or a YAML file, but is 5"),
        ({"base": "absent.yaml"}, "absent.yaml: No such file"),
        ({"base": "mine.yaml"}, "mine.yaml has a base itself, which goes one level too far"),
        ({"base": "paper/selsa-r50", "name": "paper/selsa-r50"}, "is its base's name"),
        ({"base": "paper/selsa-r50", "modle": {}}, "has no key 'modle'; did you mean 'model'"),
        ({"base": "paper/selsa-r50", "image": None}, "image must hold keys and values"),
    ],
)
def test_what_is_wrong_with_a_base_is_said(tmp_path, values, message):
    with pytest.raises(TrovidError, match=message) as error:
        load_recipe(derived(tmp_path, **values))
    assert "\n" not in str(error.value)


def test_a_card_has_no_base():
    with pytest.raises(TrovidError, match="a card: the recipe has no key 'base'"):
        parse_recipe('{"base": "paper/selsa-r50"}', "a card", complete=False)


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
        support = detector.encode(torch.rand(2, 3, 96, 128))
        (scored,) = detector.detect(torch.rand(1, 3, 96, 128), [support], options=CANDIDATES)
    assert torch.isfinite(scored.boxes).all()
    assert list(support.maps) == ["stages.1"]


def test_parts_that_do_not_fit_are_named():
    text = changed(model__roi__levels=["conv5"])
    with pytest.raises(ValueError, match=r"levels must be of \['0'\], but one is conv5"):
        build_detector(parse_recipe(text, "mine.yaml"))


def test_a_card_of_the_first_version_is_read_with_what_it_did():
    recipe = load_recipe("synthvid-selsa-troi")
    values = json.loads(json.dumps(recipe_values(recipe)))
    del values["published"], values["image"]["mean"], values["model"]["box_head"]["delta_stds"]
    text = yaml.safe_dump(values)
    assert parse_recipe(text, "old card", complete=False) == recipe
    with pytest.raises(TrovidError, match="lacks published"):
        parse_recipe(text, "mine.yaml")


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
    with pytest.raises(TrovidError, match="no recipe 'xyz'; `trovid recipes` lists them"):
        load_recipe("xyz")


def test_a_recipe_of_ones_own_names_the_search(tmp_path):
    values = {"model": {"roi": {"temporal": {"search": "coarse-to-fine"}}}}
    recipe = load_recipe(derived(tmp_path, base="synthvid-single-troi", **values))
    extractor = build_detector(recipe).roi_features.extractor
    assert (extractor.search, extractor.uses_prefixes) == ("coarse-to-fine", False)
    values["model"]["roi"]["temporal"]["search"] = "fast"
    with pytest.raises(TrovidError, match="search"):
        load_recipe(derived(tmp_path, base="synthvid-single-troi", **values))
