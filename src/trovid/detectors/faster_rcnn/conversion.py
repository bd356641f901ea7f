"""From checkpoints of the published layout (mmtracking, SELSA family) to trovid's own weights.

Nothing in a checkpoint is executed: it is read with `weights_only`, which knows tensors and plain
containers alone. Every key is mapped by one rule; none may be left over or missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.recipes import ModelRecipe, Recipe, recipe_values
from trovid.storage.hashes import sha256_of
from trovid.storage.state import check_names_and_shapes, check_state
from trovid.storage.torch_checkpoints import plain_state, read_checkpoint

RULES: tuple[tuple[str, str], ...] = (
    (r"detector\.backbone\.(conv1|bn1|layer\d)\.(.+)", r"backbone.\1.\2"),
    (r"detector\.rpn_head\.rpn_conv\.(\w+)", r"rpn.head.conv.0.0.\1"),
    (r"detector\.rpn_head\.rpn_cls\.(\w+)", r"rpn.head.cls_logits.\1"),
    (r"detector\.rpn_head\.rpn_reg\.(\w+)", r"rpn.head.bbox_pred.\1"),
    (
        r"detector\.roi_head\.bbox_roi_extractor\.embed_network\.conv\.(\w+)",
        r"roi_features.extractor.embedding.\1",
    ),
    (r"detector\.roi_head\.bbox_head\.shared_fcs\.(\d+)\.(\w+)", r"box_head.layers.\1.\2"),
    (r"detector\.roi_head\.bbox_head\.fc_cls\.(\w+)", r"box_head.class_logits.\1"),
    (r"detector\.roi_head\.bbox_head\.fc_reg\.(\w+)", r"box_head.box_deltas.\1"),
    (
        r"detector\.roi_head\.bbox_head\.aggregator\.(\d+)\.fc_embed\.(\w+)",
        r"box_head.attention.\1.query.\2",
    ),
    (
        r"detector\.roi_head\.bbox_head\.aggregator\.(\d+)\.ref_fc_embed\.(\w+)",
        r"box_head.attention.\1.key.\2",
    ),
    (
        r"detector\.roi_head\.bbox_head\.aggregator\.(\d+)\.ref_fc\.(\w+)",
        r"box_head.attention.\1.value.\2",
    ),
    (
        r"detector\.roi_head\.bbox_head\.aggregator\.(\d+)\.fc\.(\w+)",
        r"box_head.attention.\1.output.\2",
    ),
)
"""Pattern of a published key and the key of trovid's state."""
REDUCTION = re.compile(r"detector\.neck\.convs\.(\d+)\.conv\.(\w+)")


def convert_published(
    path: str | Path, recipe: Recipe, rules: Sequence[tuple[str, str]] = RULES
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads a published checkpoint as the weights of a recipe.

    Args:
        path: A file as `torch.save` writes it: `state_dict`, and `meta` with `CLASSES`.
        recipe: What the checkpoint is a training of (`mmtracking/...`).
        rules: Pattern of each published key and the key of trovid's state.

    Returns:
        The tensors by trovid's names, in float32, and metadata as `save_tensors` takes it: the
        recipe, and as provenance (`facts`) the source's name and SHA-256.

    Raises:
        TrovidError: If the file holds anything but tensors and plain values, or its layout, its
            classes or its shapes are not the recipe's.
    """
    path = Path(path)
    if not isinstance(recipe.model, ModelRecipe):
        raise TrovidError(
            f"recipe {recipe.name} is of one of torchvision's detectors, not of these"
        )
    checkpoint = read_checkpoint(path)
    state = plain_state(checkpoint.get("state_dict"), path)
    meta = checkpoint.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    _check_classes(path, meta.get("CLASSES"), recipe)
    tensors = _rename(path, state, list(recipe.model.rpn.levels), rules)
    detector = build_detector(recipe)
    check_names_and_shapes(tensors, detector.state_dict(), str(path))
    tensors = {key: value.float() for key, value in tensors.items()}
    check_state(detector, tensors, str(path))
    provenance = {
        "source": path.name,
        "source_sha256": sha256_of(path),
        "layout": f"mmtracking {str(meta.get('mmtrack_version', '(version not stated)'))[:60]}",
    }
    metadata = {"recipe": json.dumps(recipe_values(recipe)), "facts": json.dumps(provenance)}
    return tensors, metadata


def _check_classes(path: Path, classes: Any, recipe: Recipe) -> None:
    if classes is None:
        return
    if not isinstance(classes, list | tuple) or not all(isinstance(c, str) for c in classes):
        raise TrovidError(f"{path}: its `CLASSES` must be a list of names")
    expected, theirs = recipe.model.classes, tuple(classes)
    if expected != theirs:
        first = next((p for p in zip(theirs, expected, strict=False) if p[0] != p[1]), None)
        detail = (
            f"first other one: {first[0][:60]!r} for {first[1]!r}" if first else "a longer list"
        )
        raise TrovidError(
            f"{path} has {len(theirs)} classes which are not the {len(expected)} of recipe "
            f"{recipe.name} ({detail})"
        )


def _rename(
    path: Path, state: dict[str, Tensor], levels: list[str], rules: Sequence[tuple[str, str]]
) -> dict[str, Tensor]:
    tensors, unknown = {}, []
    for key, value in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        name = _new_name(key, levels, rules)
        if name is None:
            unknown.append(key)
        else:
            tensors[name] = value
    if unknown:
        raise TrovidError(
            f"{path} is not of the published layout: {len(unknown)} unexpected keys, "
            f"first {', '.join(key[:100] for key in unknown[:3])}"
        )
    return tensors


def _new_name(key: str, levels: Sequence[str], rules: Sequence[tuple[str, str]]) -> str | None:
    """The name in trovid of a published key, whose text is only copied; None without a rule."""
    reduction = REDUCTION.fullmatch(key)
    if reduction:
        number = int(reduction[1]) if len(reduction[1]) < 4 else len(levels)
        return (
            f"backbone.reduction.{levels[number]}.{reduction[2]}" if number < len(levels) else None
        )
    for pattern, replacement in rules:
        match = re.fullmatch(pattern, key)
        if match:
            return match.expand(replacement)
    return None
