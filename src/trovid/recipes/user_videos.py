"""The recipes for one's own videos."""

from __future__ import annotations

from dataclasses import replace

from trovid.recipes import everyday, synthvid
from trovid.recipes.schema import AugmentationRecipe, ModelRecipe, Origin, Recipe

PLACEHOLDER = ("object",)


def own() -> Recipe:
    """SELSA with Temporal RoI Align on EfficientNet-Lite0, small enough for two cores."""
    base = everyday.RECIPES["everyday-selsa-troi"]()
    parts = base.model
    assert isinstance(parts, ModelRecipe)
    return replace(
        base,
        name="own",
        model=replace(
            parts, classes=PLACEHOLDER, backbone=replace(parts.backbone, frozen_stages=2)
        ),
        image=replace(base.image, shorter=224, longer=400),
        training=replace(
            base.training,
            start=None,
            own_data=True,
            videos=None,
            steps=900,
            batch=2,
            support_frames=3,
            mutual_support=True,
            draw="clips",
            flip=0.5,
            learning_rate=0.0005,
            warmup=100,
            weight_decay=0.02,
            validate_every=300,
            random="clip",
            augmentation=AugmentationRecipe(
                crop=0.7, light=0.3, blur=0.1, damage=0.2, still_motion=0.1
            ),
            camera=replace(everyday.CLIP, height=224, width=224),
        ),
        origin=Origin(
            title="For one's own videos: SELSA with Temporal RoI Align on EfficientNet-Lite0",
            base=base,
            remarks={
                "model.classes": "those of the data take this place",
                "model.backbone": "everyday-selsa-troi's, or ImageNet's (--backbone)",
            },
        ),
    )


def own_small() -> Recipe:
    """The same on a small network that knows drawings, with anchors for real videos."""
    base = synthvid.RECIPES["synthvid-selsa-troi"]()
    parts = base.model
    assert isinstance(parts, ModelRecipe)
    return replace(
        base,
        name="own-small",
        model=replace(
            parts,
            classes=PLACEHOLDER,
            backbone=replace(parts.backbone, frozen_stages=0),
            rpn=replace(
                parts.rpn,
                anchor_sizes=((16, 32, 64, 128),),
                aspect_ratios=(0.5, 1.0, 2.0),
                post_nms=(64, 64),
            ),
        ),
        image=replace(base.image, shorter=192, longer=352),
        training=replace(
            base.training,
            start=None,
            own_data=True,
            videos=None,
            steps=1500,
            flip=0.5,
            colour_augmentation=False,
            validate_every=300,
            random="clip",
            augmentation=AugmentationRecipe(
                crop=0.6, light=0.3, blur=0.1, damage=0.3, still_motion=0.1
            ),
        ),
        origin=Origin(
            title="For one's own videos: SELSA with Temporal RoI Align on a small network",
            base=base,
            remarks={
                "model.classes": "those of the data take this place",
            },
        ),
    )


RECIPES = {"own": own, "own-small": own_small}
"""Name and function of each."""
