"""The range of every number in a recipe and in the card of a weights file; what texts may hold."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trovid.errors import TrovidError, shortened
from trovid.files import below

LONGEST_TEXT = 1000
FEW, MANY, MOST = 1024, 10**5, 10**9
WIDTH, SIDE = 2**16, 2**14

RANGES: dict[str, tuple[float, float]] = {
    "published": (0, 100),
    "widths": (1, WIDTH),
    "blocks": (1, FEW),
    "out_channels": (1, WIDTH),
    "frozen_stages": (0, 5),
    "reduction": (0, WIDTH),
    "output_stride": (1, 64),
    "unused": (0, MANY),
    "norm_eps": (0, 1),
    "channels": (1, WIDTH),
    "anchor_sizes": (1, SIDE),
    "aspect_ratios": (0.01, 100),
    "pre_nms": (1, MANY),
    "post_nms": (1, MANY),
    "nms": (0, 1),
    "lowest_score": (0, 1),
    "samples": (1, MANY),
    "positive_fraction": (0, 1),
    "foreground_iou": (0, 1),
    "background_iou": (0, 1),
    "lowest_iou": (0, 1),
    "allowed_border": (0, SIDE),
    "smooth_l1_beta": (0, FEW),
    "top_k": (1, SIDE),
    "num_heads": (0, FEW),
    "logit_scale": (0, FEW),
    "output_size": (1, 64),
    "sampling_ratio": (0, 128),
    "hidden": (1, WIDTH),
    "selsa_heads": (0, FEW),
    "delta_stds": (1e-6, FEW),
    "shorter": (1, SIDE),
    "longer": (1, SIDE),
    "mean": (-FEW, FEW),
    "std": (1e-6, FEW),
    "divisor": (1, FEW),
    "score": (0, 1),
    "max_detections": (1, MANY),
    "support_proposals": (0, FEW),
    "videos": (1, MOST),
    "steps": (1, MOST),
    "batch": (1, MANY),
    "support_frames": (0, FEW),
    "support_window": (1, MOST),
    "flip": (0, 1),
    "momentum": (0, 0.99999),
    "learning_rate": (0, FEW),
    "backbone_rate": (0, FEW),
    "warmup": (0, MOST),
    "warmup_start": (0, 1),
    "drops": (0, MOST),
    "weight_decay": (0, FEW),
    "clip_norm": (1e-9, MOST),
    "validate_every": (0, MOST),
    "accumulate": (1, MANY),
    "crop": (0.1, 1),
    "light": (0, 0.9),
    "blur": (0, 1),
    "damage": (0, 1),
    "still_motion": (0, 0.5),
    "pyramid": (0, WIDTH),
    "strides": (1, SIDE),
    "height": (1, SIDE),
    "width": (1, SIDE),
    "zoom": (0.05, 20),
    "motion": (0, 2),
    "zoom_motion": (0, 2),
    "rotation": (0, 180),
    "pasted": (0, 1),
    "reference_window": (0, MOST),
    "convolutions": (0, FEW),
    "threshold": (0, 1),
    "tracking.score": (0, FEW),
    "tracking.iou": (0, FEW),
    "tracking.label": (0, FEW),
    "tracking.same": (0, 1),
    "tracking.classes": (0, FEW),
    "patience": (0, MOST),
    "gamma": (-FEW, FEW),
    "canonical_scale": (1, SIDE),
}
"""Lowest and highest value by the last part of a recipe's key, or the last two; of a list, of each
entry."""

PROVENANCE: dict[str, tuple[float, float]] = {
    "val_ap50": (0, 1),
    "val_clips": (0, MOST),
    "test_ap50": (0, 1),
    "test_track_ap": (0, 1),
    "test_clips": (0, MOST),
    "score_threshold": (0, 1),
    "val_f1": (0, 1),
    "seed": (-(2**63), 2**64),
    "minutes": (0, MOST),
    "processor_minutes": (0, MOST),
    "memory_mb": (0, MOST),
    "published.value": (0, 100),
}
"""The same for what trovid reads of a card beside its recipe; of a mapping, of each value."""


def check_recipe(recipe: Any, origin: str) -> None:
    """That every number lies in its range, and that texts are text.

    Args:
        recipe: A Recipe.
        origin: Names the file in errors.

    Raises:
        TrovidError: If one does not; the message names key and range.
    """
    _check_part(recipe, origin, "")
    try:
        below(Path("out"), recipe.name)
    except TrovidError as error:
        raise TrovidError(
            f"{origin}: name must be a file's name, maybe with folders before it, but is "
            f"{shortened(recipe.name)}"
        ) from error
    names = recipe.model.classes
    if not names or not all(name.strip() for name in names):
        raise TrovidError(
            f"{origin}: model.classes must name at least one class, but is {shortened(names)}"
        )


def check_provenance(provenance: Mapping[str, Any], origin: str) -> None:
    """The same for what a card says beside its recipe.

    Raises:
        TrovidError: If a value that trovid reads is another kind of value, or out of its range.
    """
    for key in ("data", "published", "test_ap50", "test_track_ap"):
        value = provenance.get(key, {})
        if value is not None and not isinstance(value, dict):
            raise TrovidError(f"{origin}: {key} must be an object, but is {shortened(value)}")
    published = provenance.get("published") or {}
    flat = {**provenance, **{f"published.{k}": v for k, v in published.items()}}
    for key, bounds in PROVENANCE.items():
        held = flat.get(key)
        if held is not None:
            for value in held.values() if isinstance(held, dict) else [held]:
                _check_number(value, bounds, origin, key)
    if not isinstance(provenance.get("temporal_trained", True), bool):
        raise TrovidError(f"{origin}: temporal_trained must be true or false")


def _check_part(value: Any, origin: str, key: str) -> None:
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.compare:
                _check_part(getattr(value, field.name), origin, f"{key}.{field.name}".strip("."))
    elif isinstance(value, tuple):
        if len(set(value)) < len(value) and all(isinstance(entry, str) for entry in value):
            raise TrovidError(f"{origin}: {key} must hold each once, but is {shortened(value)}")
        for index, entry in enumerate(value):
            _check_part(entry, origin, f"{key}[{index}]")
    elif isinstance(value, str):
        if not value.isprintable() or len(value) > LONGEST_TEXT:
            raise TrovidError(
                f"{origin}: {key} must be text of at most {LONGEST_TEXT} printable characters, "
                f"but is {shortened(value)}"
            )
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(value, range_of(key), origin, key)


def range_of(key: str) -> tuple[float, float]:
    """The range of a number by its key, such as `model.rpn.anchor_sizes[0][1]`."""
    *_, part, name = ("", "", *re.sub(r"\[.*?\]", "", key).split("."))
    return RANGES.get(f"{part}.{name}", RANGES.get(name, (-MOST, MOST)))


def _check_number(value: Any, bounds: tuple[float, float], origin: str, key: str) -> None:
    lowest, highest = bounds
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not lowest <= value <= highest:
        raise TrovidError(
            f"{origin}: {key} must lie in {lowest:g}..{highest:g}, but is {shortened(value)}"
        )
