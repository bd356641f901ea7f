"""EPIC-KITCHENS-55's recipes (Table 7 of the paper): ImageNet VID's, with other classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from trovid.recipes.imagenet_vid import RECIPES as IMAGENET_VID
from trovid.recipes.schema import ModelRecipe, Origin, Recipe
from trovid.recipes.user_videos import PLACEHOLDER

TITLES = {
    "single": "Single-frame Faster R-CNN",
    "single-troi": "Faster R-CNN with Temporal RoI Align",
    "selsa": "SELSA",
    "selsa-troi": "SELSA with Temporal RoI Align",
}
TABLE_7 = {"selsa": 38.8, "selsa-troi": 42.2}
"""The paper's figures on the test videos of seen kitchens."""
UNSEEN = {"selsa": 36.7, "selsa-troi": 39.6}


def epic(method: str) -> Recipe:
    """The paper's recipe of a method, as TITLES names it, on ResNet-101."""
    base = IMAGENET_VID[f"paper/{method}-r101"]()
    parts = base.model
    assert isinstance(parts, ModelRecipe)
    remarks = {
        "model.classes": "the 352 of EPIC_noun_classes.csv take this place, else those labelled",
    }
    if method in TABLE_7:
        remarks["published"] = f"seen kitchens; {UNSEEN[method]} in unseen ones"
    return replace(
        base,
        name=f"paper/epic-{method}-r101",
        published=TABLE_7.get(method),
        model=replace(parts, classes=PLACEHOLDER),
        training=replace(base.training, own_data=True, videos=None),
        origin=Origin(
            title=f"{TITLES[method]}, ResNet-101, EPIC-KITCHENS-55\n"
            "(Gong et al., Temporal ROI Align for Video Object Recognition, AAAI 2021, Table 7).\n"
            "The paper states the operator alone: network and schedule are ImageNet VID's.",
            base=base,
            remarks=remarks,
        ),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    f"paper/epic-{method}-r101": partial(epic, method) for method in TITLES
}
"""Name and function of each."""
