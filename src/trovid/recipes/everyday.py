"""Everyday things in real videos: 20 classes, a small network, trained on stills."""

from __future__ import annotations

from dataclasses import replace

from trovid.recipes.backbone_schema import EfficientNetLiteBackboneRecipe
from trovid.recipes.heads import with_heads
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

CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
)
TEMPORAL = TemporalRecipe(top_k=4, num_heads=4, embedding="grouped", bias=True, logit_scale=1.0)


def single() -> Recipe:
    """Faster R-CNN on EfficientNet-Lite0 with a small feature pyramid."""
    return Recipe(
        name="everyday-single",
        model=ModelRecipe(
            classes=tuple(CLASSES.split()),
            backbone=EfficientNetLiteBackboneRecipe(
                name="efficientnet_lite0",
                levels=("conv3", "conv4", "conv5"),
                pyramid=96,
                frozen_stages=2,
            ),
            rpn=RPNRecipe(
                levels=("p3", "p4", "p5", "p6"),
                anchor_sizes=((20, 32), (48, 72), (104, 152), (208, 288)),
                aspect_ratios=(0.5, 1.0, 2.0),
                pre_nms=(400, 300),
                post_nms=(256, 100),
                nms=0.7,
                samples=128,
                lowest_iou=0.3,
            ),
            roi=RoIRecipe(
                levels=("p3", "p4", "p5"),
                output_size=7,
                sampling_ratio=2,
                aligned=True,
                temporal=None,
                canonical_scale=112,
            ),
            box_head=BoxHeadRecipe(
                hidden=(256, 256), selsa_heads=0, class_agnostic=True, samples=64
            ),
        ),
        image=ImageRecipe(
            shorter=256,
            longer=384,
            mean=(127.5, 127.5, 127.5),
            std=(127.5, 127.5, 127.5),
            divisor=32,
        ),
        inference=InferenceRecipe(
            support="uniform:14", target_among_support=False, nms=0.5, max_detections=100
        ),
        training=TrainingRecipe(
            start=None,
            videos=5500,
            steps=8250,
            batch=8,
            support_frames=0,
            support_window=None,
            flip=0.5,
            learning_rate=0.0005,
            warmup=200,
            weight_decay=0.02,
            clip_norm=5.0,
            colour_augmentation=False,
            bfloat16=True,
        ),
        origin=Origin(
            title="Everyday things: single-frame Faster R-CNN",
            remarks={
                "model.backbone": "begins with ImageNet's weights (--backbone)",
                "training.steps": "12 times each of 5,500 pictures",
            },
        ),
    )


RECIPES = {
    "everyday-single": single,
    "everyday-selsa-troi": lambda: with_heads(
        single(),
        "everyday-selsa-troi",
        title="Everyday things: SELSA with Temporal RoI Align",
        temporal=TEMPORAL,
        selsa_heads=8,
        training=replace(
            single().training,
            start="everyday-single",
            steps=3000,
            batch=2,
            support_frames=3,
            mutual_support=True,
            learning_rate=0.0002,
        ),
    ),
}
"""Name and function of each."""
