"""Writes the full-size recipes, one complete YAML file each: python tools/write_recipes.py.

They are two families of twelve. What a file says is not composed when it is read: this only keeps
the twelve from drifting apart, and a test holds the files against it.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "src" / "trovid" / "recipes" / "yaml"
BACKBONES = {
    "r50": ("resnet50", "ResNet-50"),
    "r101": ("resnet101", "ResNet-101"),
    "x101": ("resnext101_64x4d", "ResNeXt-101-64x4d"),
}
KINDS = {
    "single": "single-frame Faster R-CNN",
    "single-troi": "Faster R-CNN with Temporal RoI Align",
    "selsa": "SELSA",
    "selsa-troi": "SELSA with Temporal RoI Align",
}
FIGURES = {
    "paper/single-r101": 74.0,
    "paper/single-troi-r101": 80.5,
    "paper/single-troi-x101": 82.3,
    "paper/selsa-r101": 80.3,
    "paper/selsa-x101": 83.0,
    "paper/selsa-troi-r101": 82.0,
    "paper/selsa-troi-x101": 84.3,
    "mmtracking/selsa-r50": 78.4,
    "mmtracking/selsa-r101": 81.5,
    "mmtracking/selsa-x101": 83.1,
    "mmtracking/selsa-troi-r50": 79.8,
    "mmtracking/selsa-troi-r101": 82.6,
    "mmtracking/selsa-troi-x101": 84.1,
}
CLASSES = """\
  classes:  # ImageNet VID
    [airplane, antelope, bear, bicycle, bird, bus, car, cattle, dog, domestic_cat, elephant, fox,
    giant_panda, hamster, horse, lion, lizard, monkey, motorcycle, rabbit, red_panda, sheep, snake,
    squirrel, tiger, train, turtle, watercraft, whale, zebra]
"""
STATISTICS = """\
  mean: [123.675, 116.28, 103.53]  # RGB
  std: [58.395, 57.12, 57.375]
"""
RPN_SAMPLING = """\
    samples: 256
    positive_fraction: 0.5
    foreground_iou: 0.7
    background_iou: 0.3
"""
ROI_SAMPLING = """\
    samples: 256
    positive_fraction: 0.25
    foreground_iou: 0.5
    smooth_l1_beta: 1.0
"""
PAPER = """\
# {title}, {backbone_title}, ImageNet VID, as the paper states
# (Gong et al., Temporal ROI Align for Video Object Recognition, AAAI 2021).
# "chosen": the paper is silent.
name: paper/{name}
published: {published}  # mAP at IoU 0.5 in per cent, ImageNet VID val (tables 1, 5, 6)
model:
{classes}  backbone:
    name: {backbone}
    levels: [conv4, conv5]
    reduction: [0, 512]  # 3x3 convolution with ReLU; chosen, as in the published code
    dilated: true  # conv5 with stride 1 and dilation 2
    frozen_stages: 2  # stem and conv2; chosen
    trained_norm: false  # chosen
  rpn:
    levels: [conv4]
    channels: 512  # chosen
    anchor_sizes: [[64, 128, 256, 512]]
    aspect_ratios: [0.5, 1.0, 2.0]
    rounded_anchors: false  # chosen
    pre_nms: [6000, 6000]  # training, test; chosen
    post_nms: [300, 300]
    nms: 0.7  # chosen, and so is what follows
{rpn_sampling}    lowest_iou: 0.0  # of an object's best anchor; chosen
    allowed_border: null  # any anchor
    smooth_l1_beta: 0.1111111111111111
  roi:
    levels: [conv5]
    output_size: 7
    sampling_ratio: 2  # chosen
    aligned: true  # chosen
{temporal}  box_head:
    hidden: [1024, 1024]
    selsa_heads: {selsa_heads}
    class_agnostic: true  # chosen, and so is what follows
    delta_stds: [0.1, 0.1, 0.2, 0.2]
{roi_sampling}image:
  shorter: 600
  longer: 1000  # chosen
  antialias: true  # chosen
{statistics}  divisor: 16
inference:
  support: uniform:14
  target_among_support: false
  score: 0.0001  # chosen
  nms: 0.5
  max_detections: 100  # chosen
training:  # ImageNet VID (15 frames a video: 57834) and DET (53639 images), 6 epochs
  start: null
  videos: 57501  # 3862 videos, and the images
  steps: 41802
  batch: 16
  support_frames: {support_frames}
  support_window: null  # null: any frames of the video
  mutual_support: false  # true: support frames are target frames too
  draw: frames  # each labelled frame and each image as often
  flip: 0.5  # alike within a clip; chosen
  optimizer: sgd
  momentum: 0.9  # chosen
  learning_rate: 0.02
  warmup: 500  # chosen
  warmup_start: 0.3333333333333333  # chosen
  drops: [20901, 34835]  # a tenth from there on: the 4th and the 6th epoch begin
  weight_decay: 0.0001  # chosen
  clip_norm: 35.0  # chosen
  colour_augmentation: false
  bfloat16: false
"""
PAPER_TEMPORAL = """\
    temporal:
      top_k: 4
      num_heads: 4
      embedding: grouped
      bias: true  # chosen
      logit_scale: 1.0
"""
PUBLISHED = """\
# {title}, {backbone_title}, ImageNet VID, as the published code (mmtracking 0.14){own_note}
name: mmtracking/{name}
published: {published}  # mAP at IoU 0.5 in per cent, ImageNet VID val
model:
{classes}  backbone:
    name: {backbone}
    levels: [conv5]
    reduction: [512]  # 3x3 convolution with ReLU
    dilated: true  # conv5 with stride 1 and dilation 2
    frozen_stages: 2  # stem and conv2
    trained_norm: true  # scale and shift; the statistics never change
  rpn:
    levels: [conv5]
    channels: 512
    anchor_sizes: [[64, 128, 256, 512]]
    aspect_ratios: [0.5, 1.0, 2.0]
    rounded_anchors: false
    pre_nms: [6000, 6000]  # training, test
    post_nms: [600, 300]
    nms: 0.7
{rpn_sampling}    lowest_iou: 0.3  # of an object's best anchor
    allowed_border: 0  # anchors across the image's edge have no loss
    smooth_l1_beta: 0.1111111111111111
  roi:
    levels: [conv5]
    output_size: 7
    sampling_ratio: 2
    aligned: true
{temporal}  box_head:
    hidden: {hidden}
    selsa_heads: {selsa_heads}
    class_agnostic: false
    delta_stds: [0.2, 0.2, 0.2, 0.2]
{roi_sampling}image:
  shorter: 600
  longer: 1000
  antialias: false
{statistics}  divisor: 16
inference:
  support: uniform:14
  target_among_support: {target_among_support}
  score: 0.0001
  nms: 0.5
  max_detections: 100
training:  # ImageNet VID (15 frames a video: 57834) and DET (53639 images), 7 epochs
  start: null
  videos: 57501  # 3862 videos, and the images
  steps: 97538
  batch: 8
  support_frames: {support_frames}
  support_window: 9  # one on each side
  mutual_support: false  # true: support frames are target frames too
  draw: frames  # each labelled frame and each image as often
  flip: 0.5  # alike within a clip
  optimizer: sgd
  momentum: 0.9
  learning_rate: 0.01
  warmup: 500
  warmup_start: 0.3333333333333333
  drops: [27868, 69670]  # a tenth from there on: after epochs 2 and 5
  weight_decay: 0.0001
  clip_norm: 35.0
  colour_augmentation: false
  bfloat16: false
"""
PUBLISHED_TEMPORAL = """\
    temporal:
      top_k: 2
      num_heads: 4
      embedding: dense
      bias: true
      logit_scale: 0.08838834764831845  # 1 / sqrt(512 / 4)
"""


def recipe_texts() -> dict[str, str]:
    """Name and text of every full-size recipe."""
    texts = {}
    for kind, title in KINDS.items():
        troi, selsa = kind.endswith("troi"), kind.startswith("selsa")
        for short, (backbone, backbone_title) in BACKBONES.items():
            name = f"{kind}-{short}"
            values = {
                "title": title[0].upper() + title[1:],
                "backbone_title": backbone_title,
                "backbone": backbone,
                "name": name,
                "classes": CLASSES,
                "statistics": STATISTICS,
                "rpn_sampling": RPN_SAMPLING,
                "roi_sampling": ROI_SAMPLING,
                "selsa_heads": 16 if selsa else 0,
                "support_frames": 2 if selsa or troi else 0,
                "hidden": [1024] * (3 if troi else 2),
                "target_among_support": "true" if selsa or troi else "false",
                "own_note": "" if selsa else ";\n# it has no weights of this kind",
            }
            for family, text, temporal in (
                ("paper", PAPER, PAPER_TEMPORAL),
                ("mmtracking", PUBLISHED, PUBLISHED_TEMPORAL),
            ):
                full_name = f"{family}/{name}"
                texts[full_name] = text.format(
                    **values,
                    published=FIGURES.get(full_name, "null"),
                    temporal=temporal if troi else "    temporal: null\n",
                )
    return texts


if __name__ == "__main__":
    for name, text in recipe_texts().items():
        path = FOLDER / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)
