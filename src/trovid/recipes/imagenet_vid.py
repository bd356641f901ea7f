"""ImageNet VID's recipes at full size: as the paper states them, and as the published code does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from trovid.recipes.backbone_schema import ResNetBackboneRecipe
from trovid.recipes.heads import with_heads
from trovid.recipes.schema import (
    AggregationRecipe,
    BoxHeadRecipe,
    ImageRecipe,
    InferenceRecipe,
    ModelRecipe,
    Origin,
    Recipe,
    RoIRecipe,
    RPNRecipe,
    TrainingRecipe,
)
from trovid.recipes.support_schema import (
    TemporalRecipe,
)
from trovid.recipes.variants import Variant, variants

CLASSES = (
    "airplane antelope bear bicycle bird bus car cattle dog domestic_cat elephant fox giant_panda "
    "hamster horse lion lizard monkey motorcycle rabbit red_panda sheep snake squirrel tiger train "
    "turtle watercraft whale zebra"
)
TRAINING_DATA = "ImageNet VID, 15 frames a video: 57834, and DET, 53639 images"
TITLES = {
    "single-troi": "Faster R-CNN with Temporal RoI Align",
    "selsa": "SELSA",
    "selsa-troi": "SELSA with Temporal RoI Align",
}
PAPER = """ImageNet VID, as the paper states
(Gong et al., Temporal ROI Align for Video Object Recognition, AAAI 2021).
"chosen": the paper is silent."""
PAPER_CHOSEN = (
    "model.backbone.frozen_stages model.backbone.trained_norm model.rpn.channels "
    "model.rpn.rounded_anchors model.rpn.pre_nms model.rpn.nms model.rpn.samples "
    "model.rpn.positive_fraction model.rpn.foreground_iou model.rpn.background_iou "
    "model.rpn.lowest_iou model.rpn.allowed_border model.rpn.smooth_l1_beta "
    "model.roi.sampling_ratio model.roi.aligned model.box_head.class_agnostic "
    "model.box_head.delta_stds model.box_head.samples model.box_head.positive_fraction "
    "model.box_head.foreground_iou model.box_head.smooth_l1_beta image.longer image.antialias "
    "inference.score inference.max_detections training.flip training.momentum training.warmup "
    "training.warmup_start training.weight_decay training.clip_norm"
)
PAPER_TEMPORAL = TemporalRecipe(
    top_k=4, num_heads=4, embedding="grouped", bias=True, logit_scale=1.0
)
PUBLISHED_CODE = "ImageNet VID, as the published code (mmtracking 0.14)"
NO_WEIGHTS = f"{PUBLISHED_CODE};\nit has no weights of this kind"
PUBLISHED_TEMPORAL = TemporalRecipe(
    top_k=2, num_heads=4, embedding="dense", bias=True, logit_scale=(512 / 4) ** -0.5
)


def paper_single() -> Recipe:
    """The paper's single-frame Faster R-CNN."""
    return Recipe(
        name="paper/single-r50",
        model=ModelRecipe(
            classes=tuple(CLASSES.split()),
            backbone=ResNetBackboneRecipe(
                name="resnet50",
                levels=("conv4", "conv5"),
                reduction=(0, 512),
                dilated=True,
                frozen_stages=2,
                trained_norm=False,
            ),
            rpn=RPNRecipe(
                levels=("conv4",),
                channels=512,
                anchor_sizes=((64, 128, 256, 512),),
                aspect_ratios=(0.5, 1.0, 2.0),
                rounded_anchors=False,
                pre_nms=(6000, 6000),
                post_nms=(300, 300),
                nms=0.7,
                samples=256,
            ),
            roi=RoIRecipe(
                levels=("conv5",), output_size=7, sampling_ratio=2, aligned=True, temporal=None
            ),
            box_head=BoxHeadRecipe(
                hidden=(1024, 1024), selsa_heads=0, class_agnostic=True, samples=256
            ),
        ),
        image=ImageRecipe(shorter=600, longer=1000, divisor=16),
        inference=InferenceRecipe(
            support="uniform:14",
            target_among_support=False,
            score=0.0001,
            nms=0.5,
            max_detections=100,
        ),
        training=TrainingRecipe(
            start=None,
            videos=57501,
            steps=41802,
            batch=16,
            support_frames=0,
            support_window=None,
            draw="frames",
            flip=0.5,
            optimizer="sgd",
            learning_rate=0.02,
            warmup=500,
            warmup_start=1 / 3,
            drops=(20901, 34835),
            weight_decay=0.0001,
            clip_norm=35.0,
            colour_augmentation=False,
            bfloat16=False,
        ),
        origin=Origin(
            title=f"Single-frame Faster R-CNN, ResNet-50, {PAPER}",
            remarks={
                **dict.fromkeys(PAPER_CHOSEN.split(), "chosen"),
                "model.backbone.reduction": "chosen, as in the published code",
                "training.steps": f"6 epochs of {TRAINING_DATA}",
                "training.videos": "3862 videos, and the images",
                "training.drops": "the 4th and the 6th epoch begin",
            },
        ),
    )


def mmtracking_single() -> Recipe:
    """The published code's single-frame Faster R-CNN."""
    return Recipe(
        name="mmtracking/single-r50",
        model=ModelRecipe(
            classes=tuple(CLASSES.split()),
            backbone=ResNetBackboneRecipe(
                name="resnet50",
                levels=("conv5",),
                reduction=(512,),
                dilated=True,
                frozen_stages=2,
                trained_norm=True,
            ),
            rpn=RPNRecipe(
                levels=("conv5",),
                channels=512,
                anchor_sizes=((64, 128, 256, 512),),
                aspect_ratios=(0.5, 1.0, 2.0),
                rounded_anchors=False,
                pre_nms=(6000, 6000),
                post_nms=(600, 300),
                nms=0.7,
                samples=256,
                lowest_iou=0.3,
                allowed_border=0,
            ),
            roi=RoIRecipe(
                levels=("conv5",), output_size=7, sampling_ratio=2, aligned=True, temporal=None
            ),
            box_head=BoxHeadRecipe(
                hidden=(1024, 1024),
                selsa_heads=0,
                class_agnostic=False,
                delta_stds=(0.2, 0.2, 0.2, 0.2),
                samples=256,
            ),
        ),
        image=ImageRecipe(shorter=600, longer=1000, antialias=False, divisor=16),
        inference=InferenceRecipe(
            support="uniform:14",
            target_among_support=False,
            score=0.0001,
            nms=0.5,
            max_detections=100,
        ),
        training=TrainingRecipe(
            start=None,
            videos=57501,
            steps=97538,
            batch=8,
            support_frames=0,
            support_window=9,
            draw="frames",
            flip=0.5,
            optimizer="sgd",
            learning_rate=0.01,
            warmup=500,
            warmup_start=1 / 3,
            drops=(27868, 69670),
            weight_decay=0.0001,
            clip_norm=35.0,
            colour_augmentation=False,
            bfloat16=False,
        ),
        origin=Origin(
            title=f"Single-frame Faster R-CNN, ResNet-50, {NO_WEIGHTS}",
            remarks={
                "model.rpn.allowed_border": "those across the image's edge have no loss",
                "training.steps": f"7 epochs of {TRAINING_DATA}",
                "training.videos": "3862 videos, and the images",
                "training.support_window": "one on each side",
                "training.drops": "after epochs 2 and 5",
            },
        ),
    )


def paper(method: str) -> Recipe:
    """The paper's recipe of a method with support frames, as TITLES names it."""
    base, troi = paper_single(), method.endswith("troi")
    return with_heads(
        base,
        f"paper/{method}-r50",
        title=f"{TITLES[method]}, ResNet-50, {PAPER}",
        temporal=PAPER_TEMPORAL if troi else None,
        selsa_heads=16 if method.startswith("selsa") else 0,
        training=replace(base.training, support_frames=2),
        remarks={"model.roi.temporal.bias": "chosen"},
    )


def mmtracking(method: str) -> Recipe:
    """The published code's recipe of a method with support frames, as TITLES names it."""
    base, troi, selsa = mmtracking_single(), method.endswith("troi"), method.startswith("selsa")
    return with_heads(
        base,
        f"mmtracking/{method}-r50",
        title=f"{TITLES[method]}, ResNet-50, {PUBLISHED_CODE if selsa else NO_WEIGHTS}",
        published={"selsa": 78.4, "selsa-troi": 79.8}.get(method),
        temporal=PUBLISHED_TEMPORAL if troi else None,
        selsa_heads=16 if selsa else 0,
        hidden=(1024,) * (3 if troi else 2),
        inference=replace(base.inference, target_among_support=True),
        training=replace(base.training, support_frames=2),
        remarks={"model.roi.temporal.logit_scale": "1 / sqrt(512 / 4)"},
    )


def r101(base: Recipe, published: float | None = None) -> Recipe:
    """The recipe of a ResNet-50 with ResNet-101."""
    return _with_backbone(base, "resnet101", "r101", "ResNet-101", published)


def x101(base: Recipe, published: float | None = None) -> Recipe:
    """The recipe of a ResNet-50 with ResNeXt-101-64x4d."""
    return _with_backbone(base, "resnext101_64x4d", "x101", "ResNeXt-101-64x4d", published)


def _with_backbone(
    base: Recipe, backbone: str, short: str, title: str, published: float | None
) -> Recipe:
    parts = base.model
    assert isinstance(parts, ModelRecipe)
    return replace(
        base,
        name=base.name.replace("r50", short),
        published=published,
        model=replace(parts, backbone=replace(parts.backbone, name=backbone)),
        origin=Origin(title=base.origin.title.replace("ResNet-50", title), base=base),
    )


def paper_fgfa() -> Recipe:
    """The paper's single-frame detector with FGFA's aggregation, without flow, ResNet-101."""
    base = paper_single()
    recipe = with_heads(
        base,
        "paper/fgfa-r50",
        title=f"FGFA's aggregation by similarity without flow, ResNet-50, {PAPER}",
        aggregation=AggregationRecipe(level="conv5"),
        inference=replace(base.inference, support="consecutive:30"),
        training=replace(base.training, support_frames=2, support_window=9),
    )
    return r101(recipe)


def paper_variant(end: str, variant: Variant) -> Recipe:
    """The paper's single-frame detector with a variant of Temporal RoI Align, ResNet-101."""
    base = paper_single()
    recipe = with_heads(
        base,
        f"paper/single-{end}-r50",
        title=f"{variant.title}, ResNet-50, {PAPER}",
        temporal=variant.temporal,
        training=replace(base.training, support_frames=2),
    )
    return r101(recipe, variant.published)


RECIPES: dict[str, Callable[[], Recipe]] = {
    "paper/single-r50": paper_single,
    "paper/single-r101": lambda: r101(paper_single(), 74.0),
    "paper/single-x101": lambda: x101(paper_single()),
    "paper/single-troi-r50": lambda: paper("single-troi"),
    "paper/single-troi-r101": lambda: r101(paper("single-troi"), 80.5),
    "paper/single-troi-x101": lambda: x101(paper("single-troi"), 82.3),
    "paper/selsa-r50": lambda: paper("selsa"),
    "paper/selsa-r101": lambda: r101(paper("selsa"), 80.3),
    "paper/selsa-x101": lambda: x101(paper("selsa"), 83.0),
    "paper/selsa-troi-r50": lambda: paper("selsa-troi"),
    "paper/selsa-troi-r101": lambda: r101(paper("selsa-troi"), 82.0),
    "paper/selsa-troi-x101": lambda: x101(paper("selsa-troi"), 84.3),
    "paper/fgfa-r101": paper_fgfa,
    **{
        f"paper/single-{end}-r101": partial(paper_variant, end, variant)
        for end, variant in variants(PAPER_TEMPORAL, hidden=1024).items()
    },
    "mmtracking/single-r50": mmtracking_single,
    "mmtracking/single-r101": lambda: r101(mmtracking_single()),
    "mmtracking/single-x101": lambda: x101(mmtracking_single()),
    "mmtracking/single-troi-r50": lambda: mmtracking("single-troi"),
    "mmtracking/single-troi-r101": lambda: r101(mmtracking("single-troi")),
    "mmtracking/single-troi-x101": lambda: x101(mmtracking("single-troi")),
    "mmtracking/selsa-r50": lambda: mmtracking("selsa"),
    "mmtracking/selsa-r101": lambda: r101(mmtracking("selsa"), 81.5),
    "mmtracking/selsa-x101": lambda: x101(mmtracking("selsa"), 83.1),
    "mmtracking/selsa-troi-r50": lambda: mmtracking("selsa-troi"),
    "mmtracking/selsa-troi-r101": lambda: r101(mmtracking("selsa-troi"), 82.6),
    "mmtracking/selsa-troi-x101": lambda: x101(mmtracking("selsa-troi"), 84.1),
}
"""Name and function of each."""
