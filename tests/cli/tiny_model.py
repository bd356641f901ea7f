"""A detector with random weights and small input, which finds something in any picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from trovid.detectors.building import build_detector
from trovid.recipes import load_recipe
from trovid.zoo.weights import save_weights


def save_tiny_model(
    path: Path, *, shorter: int = 64, longer: int = 96, name: str = "synthvid-selsa-troi"
) -> Path:
    recipe = load_recipe(name)
    recipe = replace(
        recipe,
        image=replace(recipe.image, shorter=shorter, longer=longer),
        inference=replace(recipe.inference, support="uniform:3"),
    )
    torch.manual_seed(0)
    detector = build_detector(recipe)
    with torch.no_grad():
        logits = detector.box_head.class_logits
        logits.weight.normal_(std=10)
        logits.weight[-1], logits.bias[-1] = 0, -100  # never background
    save_weights(path, detector, recipe, provenance={})
    return path
