"""One of torchvision's detectors in memory, trained or not, as it is: its detector and recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torchvision.models.detection import FasterRCNN

from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.torchvision.detector import COCO_OUTPUTS, COCO_UNUSED, from_torchvision
from trovid.recipes import Recipe, TorchvisionImageRecipe, TrainingFreeRecipe, load_recipe

COCO_RECIPE = "coco-r50-fpn"
WHOLE = 255


def detector_of_module(
    model: FasterRCNN,
    *,
    classes: Sequence[str] | None = None,
    temporal: TrainingFreeRecipe | None = None,
) -> tuple[Detector, Recipe]:
    """What a Predictor needs to find what torchvision's detector finds.

    Args:
        model: See `from_torchvision`; its parts are taken over and put into eval mode.
        classes: Names of its labels from 1 on; None for COCO's, where it has COCO's 91 outputs, or
            "class 1" and so on.
        temporal: For Temporal RoI Align without trained weights; None for single frames.

    Raises:
        TypeError: If it is none of torchvision's two-stage detectors.
        ValueError: If there are not as many names as classes, or a part is of a kind that a
            Detector does not have.
    """
    coco, heads = load_recipe(COCO_RECIPE), getattr(model, "roi_heads", None)
    outputs = getattr(getattr(heads, "box_predictor", None), "cls_score", None)
    in_coco = outputs is not None and outputs.out_features == COCO_OUTPUTS
    unused = COCO_UNUSED if in_coco and (classes is None or len(classes) == 80) else ()
    if classes is None and unused:
        classes = coco.model.classes
    detector = from_torchvision(
        model, class_names=classes, unused=unused, temporal=temporal or False
    )
    parts: Any = replace(
        coco.model,
        name=type(model).__name__,
        classes=detector.class_names,
        unused=unused,
        frozen=(),
        temporal=temporal,
        masks=detector.segments,
    )
    inference = replace(
        coco.inference,
        support=coco.inference.support if temporal else "uniform:0",
        score=model.roi_heads.score_thresh,
        nms=model.roi_heads.nms_thresh,
        max_detections=model.roi_heads.detections_per_img,
    )
    image = _image_recipe(model.transform)
    name = type(model).__name__
    return detector, replace(coco, name=name, model=parts, image=image, inference=inference)


def _image_recipe(transform: Any) -> TorchvisionImageRecipe:
    if getattr(transform, "fixed_size", None) is not None:
        raise ValueError("`model` resizes to a fixed size, which trovid does not: leave it out")
    red, green, blue = (WHOLE * value for value in transform.image_mean)
    reds, greens, blues = (WHOLE * value for value in transform.image_std)
    return TorchvisionImageRecipe(
        name="torchvision",
        shorter=transform.min_size[-1],
        longer=transform.max_size,
        mean=(red, green, blue),
        std=(reds, greens, blues),
        divisor=transform.size_divisible,
    )
