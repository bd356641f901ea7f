"""Everyday things in real videos: 20 classes, a small network, trained on pictures alone."""

from __future__ import annotations

from dataclasses import replace

from trovid.recipes.backbone_schema import EfficientNetLiteBackboneRecipe
from trovid.recipes.camera_schema import CameraRecipe
from trovid.recipes.heads import with_heads
from trovid.recipes.schema import (
    AugmentationRecipe,
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
PICTURE = CameraRecipe(height=320, width=320, zoom=(0.75, 1.6), damage=0.15)
CLIP = CameraRecipe(
    height=320,
    width=320,
    zoom=(0.75, 1.6),
    motion=0.15,
    zoom_motion=0.15,
    rotation=4.0,
    pasted=0.5,
    damage=0.4,
)


def start() -> Recipe:
    """What the others start from: Faster R-CNN on EfficientNet-Lite0 with a small pyramid."""
    return Recipe(
        name="everyday-start",
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
                anchor_sizes=((14, 23), (36, 58), (92, 144), (208, 300)),
                aspect_ratios=(0.5, 1.0, 2.0),
                pre_nms=(400, 300),
                post_nms=(256, 100),
                lowest_score=0.6,
                nms=0.7,
                samples=128,
                foreground_iou=0.6,
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
                hidden=(256, 256), selsa_heads=0, class_agnostic=True, samples=128
            ),
        ),
        image=ImageRecipe(
            shorter=288,
            longer=512,
            mean=(127.5, 127.5, 127.5),
            std=(127.5, 127.5, 127.5),
            divisor=32,
        ),
        inference=InferenceRecipe(
            support="uniform:14", target_among_support=False, nms=0.5, max_detections=100
        ),
        training=TrainingRecipe(
            start=None,
            videos=None,
            steps=5_000,
            batch=8,
            support_frames=0,
            support_window=None,
            draw="balanced",
            flip=0.5,
            learning_rate=0.0005,
            backbone_rate=0.3,
            warmup=300,
            weight_decay=0.05,
            clip_norm=5.0,
            colour_augmentation=False,
            bfloat16=True,
            random="clip",
            augmentation=AugmentationRecipe(light=0.3),
            camera=PICTURE,
        ),
        origin=Origin(
            title="Everyday things: the single-frame detector that the two others start from",
            remarks={
                "model.backbone": "begins with ImageNet's weights (--backbone)",
                "model.rpn.lowest_score": "36 of 100 proposals, on pictures set aside as good",
                "training.steps": "8 times each of 5,000 pictures",
                "training.backbone_rate": "5,000 pictures are few: ImageNet's features are kept",
            },
        ),
    )


def single() -> Recipe:
    """Faster R-CNN, trained further as the one with support frames is; the trunk stays as it is."""
    base = start()
    parts = base.model
    assert isinstance(parts, ModelRecipe)
    return replace(
        base,
        name="everyday-single",
        model=replace(
            parts,
            backbone=replace(parts.backbone, frozen_stages=5),
            rpn=replace(parts.rpn, post_nms=(128, 64)),
            box_head=replace(parts.box_head, samples=64),
        ),
        training=replace(
            base.training,
            start="everyday-start",
            steps=900,
            batch=4,
            support_frames=3,
            mutual_support=True,
            learning_rate=0.0003,
            backbone_rate=1.0,
            warmup=100,
            camera=CLIP,
        ),
        origin=Origin(title="Everyday things: single-frame Faster R-CNN", base=base),
    )


def selsa_troi() -> Recipe:
    """SELSA with Temporal RoI Align, from the same clips in as many steps."""
    found = with_heads(
        single(),
        "everyday-selsa-troi",
        title="Everyday things: SELSA with Temporal RoI Align",
        temporal=TEMPORAL,
        selsa_heads=8,
        remarks={"model.roi.searched": "cells of stride 16, on which objects look most alike"},
    )
    parts = found.model
    assert isinstance(parts, ModelRecipe)
    return replace(found, model=replace(parts, roi=replace(parts.roi, searched="p4")))


RECIPES = {
    "everyday-start": start,
    "everyday-single": single,
    "everyday-selsa-troi": selsa_troi,
}
"""Name and function of each."""
