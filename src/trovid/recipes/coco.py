"""torchvision's detectors with COCO's classes, as a start for Temporal RoI Align."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trovid.recipes.schema import (
    InferenceRecipe,
    Origin,
    Recipe,
    TorchvisionImageRecipe,
    TorchvisionModelRecipe,
    TrainingRecipe,
)
from trovid.recipes.support_schema import (
    TemporalRecipe,
)

CLASSES = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, "
    "fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, "
    "bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, "
    "sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, "
    "bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, "
    "carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, "
    "tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, "
    "refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush"
)
MODEL = TorchvisionModelRecipe(
    name="fasterrcnn_resnet50_fpn",
    classes=tuple(CLASSES.split(", ")),
    unused=(12, 26, 29, 30, 45, 66, 68, 69, 71, 83),
    frozen=("conv1", "layer1"),
    norm_eps=0.0,
    channels_last=False,
    searched="own",
    temporal=TemporalRecipe(top_k=4, num_heads=4, embedding="grouped", bias=True, logit_scale=1.0),
)
MOBILENET: dict[str, Any] = {"frozen": tuple("0123456"), "norm_eps": 1e-5}
AS_PUBLISHED = "COCO, as torchvision publishes it; a start for Temporal RoI Align"


def faster_rcnn() -> Recipe:
    """Faster R-CNN R50-FPN."""
    return Recipe(
        name="coco-r50-fpn",
        model=MODEL,
        image=TorchvisionImageRecipe(
            name="torchvision",
            shorter=800,
            longer=1333,
            mean=(123.675, 116.28, 103.53),
            std=(58.395, 57.12, 57.375),
            divisor=32,
        ),
        inference=InferenceRecipe(
            support="uniform:14", target_among_support=False, nms=0.5, max_detections=100
        ),
        training=TrainingRecipe(
            start=None,
            videos=None,
            steps=5000,
            batch=2,
            support_frames=2,
            support_window=None,
            optimizer="sgd",
            learning_rate=0.0025,
            warmup=200,
            warmup_start=0.001,
            drops=(3000, 4500),
            weight_decay=0.0001,
            clip_norm=35.0,
            colour_augmentation=False,
            bfloat16=False,
        ),
        origin=Origin(
            title=f"Faster R-CNN R50-FPN, {AS_PUBLISHED}",
            remarks={
                "training.steps": "of Temporal RoI Align on a user's videos",
            },
        ),
    )


def other(name: str, builder: str, title: str, **model: Any) -> Recipe:
    """Another of torchvision's detectors: its builder, and what else of the model differs."""
    base = faster_rcnn()
    return replace(
        base,
        name=name,
        model=replace(MODEL, name=builder, **model),
        origin=Origin(title=f"{title}, {AS_PUBLISHED}", base=base),
    )


def mobilenet_320() -> Recipe:
    """Faster R-CNN MobileNetV3-FPN for small frames."""
    recipe = other(
        "coco-mobilenet-v3-320-fpn",
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "Faster R-CNN MobileNetV3-FPN for small frames",
        **MOBILENET,
    )
    return replace(recipe, image=replace(recipe.image, shorter=320, longer=640))


RECIPES = {
    "coco-r50-fpn": faster_rcnn,
    "coco-r50-fpn-v2": lambda: other(
        "coco-r50-fpn-v2", "fasterrcnn_resnet50_fpn_v2", "Faster R-CNN R50-FPN v2", norm_eps=1e-5
    ),
    "coco-mobilenet-v3-fpn": lambda: other(
        "coco-mobilenet-v3-fpn",
        "fasterrcnn_mobilenet_v3_large_fpn",
        "Faster R-CNN MobileNetV3-FPN",
        **MOBILENET,
    ),
    "coco-mobilenet-v3-320-fpn": mobilenet_320,
    "coco-mask-r50-fpn": lambda: other(
        "coco-mask-r50-fpn", "maskrcnn_resnet50_fpn", "Mask R-CNN R50-FPN", masks=True
    ),
    "coco-mask-r50-fpn-v2": lambda: other(
        "coco-mask-r50-fpn-v2",
        "maskrcnn_resnet50_fpn_v2",
        "Mask R-CNN R50-FPN v2",
        norm_eps=1e-5,
        masks=True,
    ),
    "coco-person-r50-fpn": lambda: other(
        "coco-person-r50-fpn",
        "keypointrcnn_resnet50_fpn",
        "The boxes of Keypoint R-CNN R50-FPN",
        classes=("person",),
        unused=(),
    ),
}
"""Name and function of each."""
