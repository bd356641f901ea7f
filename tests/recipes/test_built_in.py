"""The recipes that come with the package: their values, and the detectors built from them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys

import pytest
import torch

from trovid.detectors.building import build_detector
from trovid.recipes import (
    RPNRecipe,
    flat_values,
    load_recipe,
    parse_recipe,
    recipe_names,
    recipe_text,
    recipe_values,
)

VARIANTS = [
    "ms-average",
    "md-average",
    "md-attention",
    "non-local",
    "non-local-top-k",
    *(f"troi-k{k}" for k in (1, 2, 3, 5, 6)),
    *(f"troi-n{n}" for n in (1, 2, 8, 16, 32)),
]
HASHES = {
    "coco-mask-r50-fpn": "3108f2f7bb66935a",
    "coco-mask-r50-fpn-v2": "d98ffbf33eaa7983",
    "coco-mobilenet-v3-320-fpn": "01aaafbeee1f0984",
    "coco-mobilenet-v3-fpn": "e5e3411af4874d33",
    "coco-person-r50-fpn": "6bfc5c38b9efbd38",
    "coco-r50-fpn": "564d1736b0ae6f09",
    "coco-r50-fpn-v2": "6bd2ade62b86a610",
    "mmtracking/selsa-r101": "1352c6a647958d11",
    "mmtracking/selsa-r50": "a5013624ed44ff8a",
    "mmtracking/selsa-troi-r101": "5f670e0ffca95557",
    "mmtracking/selsa-troi-r50": "4c1b7aeec24566df",
    "mmtracking/selsa-troi-x101": "740259d792a1448a",
    "mmtracking/selsa-x101": "6b4facb4b4a7f5ba",
    "mmtracking/single-r101": "113f821eebd0b84c",
    "mmtracking/single-r50": "746879335cc04379",
    "mmtracking/single-troi-r101": "63185b739ec7c486",
    "mmtracking/single-troi-r50": "430534d2c407448c",
    "mmtracking/single-troi-x101": "4e7a79efa401ed18",
    "mmtracking/single-x101": "261c763dbea7f460",
    "paper/epic-selsa-r101": "ac95b20e1ea6c6a3",
    "paper/epic-selsa-troi-r101": "c1a3ed771eecf8d6",
    "paper/epic-single-r101": "f41cc855d100fcae",
    "paper/epic-single-troi-r101": "1b23dc28bb849bf2",
    "paper/selsa-r101": "da13c4ee37d15032",
    "paper/selsa-r50": "8b5a5580ae204361",
    "paper/selsa-troi-r101": "cb3ec93227fc0366",
    "paper/selsa-troi-r50": "9713727b42b0f8ab",
    "paper/selsa-troi-x101": "dfb45a3db0c9f8a6",
    "paper/selsa-x101": "5f56e2c61b63d233",
    "paper/single-r101": "fb253392efc0d554",
    "paper/single-r50": "0d71405f619d0209",
    "paper/single-troi-r101": "1717c1e433d04ba7",
    "paper/single-troi-r50": "5cdb06abbd6e8131",
    "paper/single-troi-x101": "583b06073f27c33a",
    "paper/single-x101": "c3dc313aa07aa675",
    "synthvid-selsa": "7e420d72ce1357d5",
    "synthvid-selsa-troi": "5ea9938862abdfab",
    "synthvid-single": "b5d5675e0926cb2e",
    "synthvid-single-troi": "addbf93ce71e6209",
    "synthvid-start": "32f715ecc9d4966a",
    "mmtracking/masktrack-r101-ytvis19": "e732e52cc6bdeacc",
    "mmtracking/masktrack-r101-ytvis21": "e2c6e47f29c3417c",
    "mmtracking/masktrack-r50-ytvis19": "eb4fd8b63cb5d34b",
    "mmtracking/masktrack-r50-ytvis21": "ed9b9839ad4c9a01",
    "mmtracking/masktrack-x101-ytvis19": "5f207762819201a7",
    "mmtracking/masktrack-x101-ytvis21": "20f8ac139205fa20",
    "paper/masktrack-selsa-troi-r101-ytvis19": "68f265fb07340ad3",
    "paper/masktrack-selsa-troi-r50-ytvis19": "8f6c058ed61a0660",
    "paper/masktrack-selsa-troi-x101-ytvis19": "5b74ea12d48a62c6",
    "paper/masktrack-troi-r101-ytvis19": "40ca8663a41df532",
    "paper/masktrack-troi-r50-ytvis19": "e6523cabcaa73f86",
    "paper/masktrack-troi-x101-ytvis19": "2dffa187c4b8f0aa",
    "paper/masktrack-selsa-troi-r101-ytvis21": "59ab3e7e64b60d5b",
    "paper/masktrack-selsa-troi-r50-ytvis21": "2729575e915a474d",
    "paper/masktrack-selsa-troi-x101-ytvis21": "43d07b319f825fba",
    "paper/masktrack-troi-r101-ytvis21": "af47b87a71db2835",
    "paper/masktrack-troi-r50-ytvis21": "9e30684ea2a83811",
    "paper/masktrack-troi-x101-ytvis21": "02874e2ed10f72aa",
    "synthvid-masktrack": "5a39b9efe5b93ca3",
    "synthvid-masktrack-selsa-troi": "2faf34ef84dd9419",
    "synthvid-masktrack-troi": "f7662b15e2d8537e",
    "everyday-selsa-troi": "754fd6e2a455e3ea",
    "everyday-single": "d75683bb1db84f99",
    "everyday-start": "93b76c01f5649d15",
    "own": "4ab67aa487ef7013",
    "own-small": "188c5085350731fc",
    "paper/fgfa-r101": "f38e0cf5488cc12e",
    "paper/single-md-attention-r101": "2ce5f904aceb02db",
    "paper/single-md-average-r101": "945c227db2ddf454",
    "paper/single-ms-average-r101": "5bf45f68148b7b2e",
    "paper/single-non-local-r101": "33155c4a12c3944c",
    "paper/single-non-local-top-k-r101": "e530b292641de001",
    "paper/single-troi-k1-r101": "6e468714078a699c",
    "paper/single-troi-k2-r101": "1c70a7da525640b0",
    "paper/single-troi-k3-r101": "fb934ae56a39e56a",
    "paper/single-troi-k5-r101": "76724d7d7f773740",
    "paper/single-troi-k6-r101": "a2208fedc776bac1",
    "paper/single-troi-n1-r101": "d6ba886cb494acf3",
    "paper/single-troi-n16-r101": "5a08385a47fa0837",
    "paper/single-troi-n2-r101": "63a2fa3bc22f9179",
    "paper/single-troi-n32-r101": "7319bb95be7115bd",
    "paper/single-troi-n8-r101": "41adb12071e88a93",
    "synthvid-fgfa": "cb3ba7ebe5594294",
    "synthvid-single-md-attention": "69fee0996c0ef3a8",
    "synthvid-single-md-average": "cea36f5be9792c76",
    "synthvid-single-ms-average": "ca7fe579bc80d66f",
    "synthvid-single-non-local": "3b646812807529e5",
    "synthvid-single-non-local-top-k": "d1cf53d6c92f96ff",
    "synthvid-single-troi-k1": "11466341dbb7e080",
    "synthvid-single-troi-k2": "d6a6b1f411c21aef",
    "synthvid-single-troi-k3": "77d461250d64b849",
    "synthvid-single-troi-k5": "f3496bc86ce7017a",
    "synthvid-single-troi-k6": "ae27991e97b1be28",
    "synthvid-single-troi-n1": "631ec2b9b22ca40a",
    "synthvid-single-troi-n16": "b3b18ffdf5aee50b",
    "synthvid-single-troi-n2": "928bd955f11c1aee",
    "synthvid-single-troi-n32": "76f94eeb3cbb4feb",
    "synthvid-single-troi-n8": "129a559ff0a272e1",
}
"""The first 16 digits of the SHA-256 of a recipe's values as JSON with sorted keys, made from the
YAML files of commit 919e246, and of later recipes (and those of COCO and EPIC-KITCHENS, which take
all videos since) from their functions. A key that was added later
(`metadata={"since": ...}`) and has its default is not among the values, so that a new key changes
none of these."""


def values_of(part) -> dict:
    return {
        field.name: values_of(value) if dataclasses.is_dataclass(value) else value
        for field in dataclasses.fields(part)
        for value in [getattr(part, field.name)]
        if field.compare and not ("since" in field.metadata and value == field.default)
    }


def digest(part) -> str:
    return hashlib.sha256(json.dumps(values_of(part), sort_keys=True).encode()).hexdigest()[:16]


def test_every_recipe_has_the_values_that_it_had():
    """Every recipe has its hash: a new one is added here with its own."""
    assert {name: digest(load_recipe(name)) for name in recipe_names()} == HASHES


@pytest.mark.parametrize(
    "name",
    [n for n in recipe_names() if n.startswith(("own", "everyday-", "coco-", "paper/epic-"))],
)
def test_recipes_for_a_users_data_take_all_videos(name):
    assert load_recipe(name).training.videos is None


def test_a_key_added_later_changes_no_hash_until_it_is_used():
    field = dataclasses.field(default=0.1, metadata={"since": "1.0"})
    later = dataclasses.make_dataclass(
        "Later", [("jitter", float, field)], bases=(RPNRecipe,), frozen=True, kw_only=True
    )
    rpn = load_recipe("paper/selsa-r50").model.rpn
    assert digest(later(**vars(rpn))) == digest(rpn)
    assert digest(later(**vars(rpn), jitter=0.2)) != digest(rpn)


def test_a_variant_is_a_recipe_of_three_lines_and_differs_in_nothing_else():
    """Tables 1 to 4: same data, schedule, backbone and head as Temporal RoI Align's."""
    for family, end in (("synthvid-single-", ""), ("paper/single-", "-r101")):
        whole = flat_values(load_recipe(f"{family}troi{end}"))
        ends = [n for n in recipe_names() if n.startswith(family) and n.endswith(end)]
        assert len(ends) >= 16
        for name in [f"{family}{rest}{end}" for rest in VARIANTS]:
            values = flat_values(load_recipe(name))
            changed = {key for key in {*values, *whole} if values.get(key) != whole.get(key)}
            assert all(
                key in ("name", "published") or key.startswith("model.roi.temporal")
                for key in changed
            )


def test_epic_kitchens_differs_from_imagenet_vid_in_data_and_figures_alone():
    for method in ("single", "single-troi", "selsa", "selsa-troi"):
        values = flat_values(load_recipe(f"paper/epic-{method}-r101"))
        base = flat_values(load_recipe(f"paper/{method}-r101"))
        changed = {key for key in values if values[key] != base[key]}
        assert values.keys() == base.keys()
        assert changed <= {
            *("name", "published", "model.classes", "training.own_data", "training.videos")
        }


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_what_it_prints_and_builds(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert parse_recipe(recipe_text(recipe), "copy.yaml") == recipe
    assert parse_recipe(json.dumps(recipe_values(recipe)), "a card", complete=False) == recipe
    with torch.device("meta"):
        assert build_detector(recipe).box_head.num_classes == len(recipe.model.classes)


def test_recipes_are_read_and_printed_without_torch():
    code = (
        "import sys; from trovid.cli.main import main\n"
        "try: main(['recipes', 'show', 'synthvid-selsa-troi'])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "name: synthvid-selsa-troi " in done.stdout
    assert done.stdout.splitlines()[-1] == "False"
