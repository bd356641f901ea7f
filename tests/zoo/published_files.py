"""Small detectors of the published kind, and checkpoints in the published layout."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from trovid.detectors.building import build_detector
from trovid.recipes import Recipe, load_recipe

CHANNELS, HIDDEN = 64, 256
KEYS = (
    (r"backbone\.reduction\.conv5\.(\w+)", r"neck.convs.0.conv.\1"),
    (r"backbone\.(.+)", r"backbone.\1"),
    (r"rpn\.head\.conv\.0\.0\.(\w+)", r"rpn_head.rpn_conv.\1"),
    (r"rpn\.head\.cls_logits\.(\w+)", r"rpn_head.rpn_cls.\1"),
    (r"rpn\.head\.bbox_pred\.(\w+)", r"rpn_head.rpn_reg.\1"),
    (
        r"roi_features\.extractor\.embedding\.(\w+)",
        r"roi_head.bbox_roi_extractor.embed_network.conv.\1",
    ),
    (r"box_head\.layers\.(\d)\.(\w+)", r"roi_head.bbox_head.shared_fcs.\1.\2"),
    (r"box_head\.class_logits\.(\w+)", r"roi_head.bbox_head.fc_cls.\1"),
    (r"box_head\.box_deltas\.(\w+)", r"roi_head.bbox_head.fc_reg.\1"),
    (r"box_head\.attention\.(\d)\.query\.(\w+)", r"roi_head.bbox_head.aggregator.\1.fc_embed.\2"),
    (r"box_head\.attention\.(\d)\.key\.(\w+)", r"roi_head.bbox_head.aggregator.\1.ref_fc_embed.\2"),
    (r"box_head\.attention\.(\d)\.value\.(\w+)", r"roi_head.bbox_head.aggregator.\1.ref_fc.\2"),
    (r"box_head\.attention\.(\d)\.output\.(\w+)", r"roi_head.bbox_head.aggregator.\1.fc.\2"),
)


def small_recipe(name: str) -> Recipe:
    """A recipe of the family mmtracking/ with ResNet-18, 64 channels and FC layers of 256."""
    recipe = load_recipe(f"mmtracking/{name}-r50")
    model = recipe.model
    temporal = model.roi.temporal
    if temporal is not None:
        temporal = replace(temporal, logit_scale=(CHANNELS / temporal.num_heads) ** -0.5)
    return replace(
        recipe,
        name=f"small-{name}",
        model=replace(
            model,
            classes=tuple(f"c{i}" for i in range(30)),
            backbone=replace(model.backbone, name="resnet18", reduction=(CHANNELS,)),
            rpn=replace(model.rpn, channels=CHANNELS),
            roi=replace(model.roi, temporal=temporal),
            box_head=replace(model.box_head, hidden=(HIDDEN,) * len(model.box_head.hidden)),
        ),
    )


def published_layout(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A detector's state with the published keys."""
    renamed = {}
    for key, value in state.items():
        pattern, replacement = next(rule for rule in KEYS if re.fullmatch(rule[0], key))
        renamed["detector." + re.sub(pattern, replacement, key)] = value
    return renamed


def save_published(path: Path, recipe: Recipe, seed: int = 0) -> dict[str, Tensor]:
    """Writes a checkpoint of random weights in the published layout; returns these."""
    torch.manual_seed(seed)
    state = build_detector(recipe).state_dict()
    meta = {"CLASSES": recipe.model.classes, "mmtrack_version": "0.14.0"}
    torch.save({"meta": meta, "state_dict": published_layout(state)}, path)
    return state
