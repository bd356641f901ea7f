"""YouTube-VIS's recipes at full size: MaskTrack R-CNN, with Temporal RoI Align and SELSA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from trovid.recipes.backbone_schema import ResNetBackboneRecipe
from trovid.recipes.heads import with_heads, with_tracking
from trovid.recipes.instance_schema import MaskHeadRecipe, TrackHeadRecipe, TrackingRecipe
from trovid.recipes.schema import (
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

CLASSES = {
    "ytvis19": (
        "person giant_panda lizard parrot skateboard sedan ape dog snake monkey hand rabbit duck "
        "cat cow fish train horse turtle bear motorbike giraffe leopard fox deer owl surfboard "
        "airplane truck zebra tiger elephant snowboard boat shark mouse frog eagle earless_seal "
        "tennis_racket"
    ),
    "ytvis21": (
        "airplane bear bird boat car cat cow deer dog duck earless_seal elephant fish flying_disc "
        "fox frog giant_panda giraffe horse leopard lizard monkey motorbike mouse parrot person "
        "rabbit shark skateboard snake snowboard squirrel surfboard tennis_racket tiger train "
        "truck turtle whale zebra"
    ),
}
YEARS = {"ytvis19": "2019", "ytvis21": "2021"}
VIDEOS = {"ytvis19": 2238, "ytvis21": 2985}
FRAMES = {"ytvis19": 61845, "ytvis21": 90160}
"""Of the training splits."""
BACKBONES = {
    "r50": ("resnet50", "R50-FPN"),
    "r101": ("resnet101", "R101-FPN"),
    "x101": ("resnext101_64x4d", "X101-FPN"),
}
TEMPORAL = TemporalRecipe(top_k=4, num_heads=4, embedding="grouped", bias=True, logit_scale=1.0)
PUBLISHED_MEMORY = TrackingRecipe(iou=2.0, repeated=True)
"""How MaskTrack R-CNN's published code finds the objects of a video again."""


def masktrack(backbone: str = "r50", data: str = "ytvis19") -> Recipe:
    """MaskTrack R-CNN as the published code trains and tests it."""
    network, words = BACKBONES[backbone]
    epoch = FRAMES[data] / 8
    return Recipe(
        name=f"mmtracking/masktrack-{backbone}-{data}",
        model=ModelRecipe(
            classes=tuple(CLASSES[data].split()),
            backbone=ResNetBackboneRecipe(
                name=network,  # ty: ignore[invalid-argument-type]
                levels=("conv2", "conv3", "conv4", "conv5"),
                reduction=(0, 0, 0, 0),
                dilated=False,
                frozen_stages=2,
                trained_norm=True,
                pyramid=256,
            ),
            rpn=RPNRecipe(
                levels=("p2", "p3", "p4", "p5", "p6"),
                anchor_sizes=((32,), (64,), (128,), (256,), (512,)),
                aspect_ratios=(0.5, 1.0, 2.0),
                rounded_anchors=False,
                pre_nms=(200, 200),
                post_nms=(200, 200),
                nms=0.7,
                samples=64,
                lowest_iou=0.3,
                smooth_l1_beta=0.0,
                strides=(4, 8, 16, 32, 64),
            ),
            roi=RoIRecipe(
                levels=("p2", "p3", "p4", "p5"),
                output_size=7,
                sampling_ratio=0,
                aligned=True,
                temporal=None,
            ),
            box_head=BoxHeadRecipe(
                hidden=(1024, 1024),
                selsa_heads=0,
                class_agnostic=False,
                samples=128,
                smooth_l1_beta=0.0,
            ),
            mask_head=MaskHeadRecipe(output_size=14, channels=256, convolutions=4),
            track_head=TrackHeadRecipe(output_size=7, hidden=(1024, 1024), samples=128),
        ),
        image=ImageRecipe(shorter=360, longer=640, antialias=False, divisor=32),
        inference=InferenceRecipe(
            support="uniform:14",
            target_among_support=False,
            score=0.01,
            nms=0.5,
            max_detections=100,
            tracking=PUBLISHED_MEMORY,
        ),
        training=TrainingRecipe(
            start=None,
            videos=VIDEOS[data],
            steps=round(12 * epoch),
            batch=8,
            support_frames=0,
            support_window=None,
            draw="frames",
            flip=0.5,
            optimizer="sgd",
            learning_rate=0.00125,
            warmup=500,
            warmup_start=1 / 3,
            drops=(round(8 * epoch), round(11 * epoch)),
            weight_decay=0.0001,
            clip_norm=35.0,
            colour_augmentation=False,
            bfloat16=False,
            reference_window=100,
        ),
        origin=Origin(
            title=f"MaskTrack R-CNN {words}, YouTube-VIS {YEARS[data]}, as the published code\n"
            "(mmtracking 0.14), which begins with a Mask R-CNN trained on COCO",
            remarks={
                "inference.tracking.repeated": "as published; others once a frame, class by votes",
                "training.start": "published: COCO's Mask R-CNN; here give --backbone or --start",
                "training.steps": f"12 epochs of {FRAMES[data]} frames",
                "training.drops": "after epochs 8 and 11",
            },
        ),
    )


def temporal(method: str, backbone: str, data: str = "ytvis19") -> Recipe:
    """MaskTrack R-CNN with Temporal RoI Align (Table 8 of the paper), and with SELSA too."""
    base = masktrack(backbone, data)
    selsa = method == "selsa-troi"
    words = "SELSA and Temporal RoI Align" if selsa else "Temporal RoI Align"
    recipe = with_heads(
        base,
        f"paper/masktrack-{method}-{backbone}-{data}",
        title=f"MaskTrack R-CNN {BACKBONES[backbone][1]} with {words}, YouTube-VIS {YEARS[data]}\n"
        "(Gong et al., Temporal ROI Align for Video Object Recognition, AAAI 2021, Table 8)",
        temporal=TEMPORAL,
        selsa_heads=16 if selsa else 0,
        training=replace(base.training, support_frames=2),
        remarks={
            "model.roi.searched": "chosen: the paper does not say which level is searched",
            "model.mask_head.temporal": "chosen: the paper does not say",
            "model.track_head.temporal": "chosen: the paper does not say",
            "training.support_frames": "beside the reference frame",
            "inference.tracking.repeated": "each identity once a frame, its class by votes",
        },
    )
    return with_tracking(recipe, TrackingRecipe())


def _recipes() -> dict[str, Callable[[], Recipe]]:
    recipes: dict[str, Callable[[], Recipe]] = {}
    for backbone in BACKBONES:
        for data in YEARS:
            name = f"mmtracking/masktrack-{backbone}-{data}"
            recipes[name] = partial(masktrack, backbone, data)
            for method in ("troi", "selsa-troi"):
                name = f"paper/masktrack-{method}-{backbone}-{data}"
                recipes[name] = partial(temporal, method, backbone, data)
    return recipes


RECIPES = _recipes()
"""Name and function of each."""
