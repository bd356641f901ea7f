"""From checkpoints of the published layout (mmtracking, SELSA family) to trovid's own weights.

Nothing in a checkpoint is executed: it is read with `weights_only`, which knows tensors and plain
containers alone. Every key is mapped by one rule; none may be left over or missing.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.recipes import ModelRecipe, Recipe, recipe_values
from trovid.storage.hashes import sha256_of
from trovid.storage.state import check_state
from trovid.storage.torch_checkpoints import read_checkpoint

RULES: tuple[tuple[str, str], ...] = (
    (r"detector\.backbone\.(conv1|bn1|layer\d)\.(.+)", r"backbone.\1.\2"),
    (r"detector\.neck\.convs\.(\d+)\.conv\.(\w+)", r"backbone.reduction.{level\1}.\2"),
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
"""Pattern of a published key and the key of trovid's state; `{level0}` is a level's name."""


def convert_published(path: str | Path, recipe: Recipe) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads a published checkpoint as the weights of a recipe.

    Args:
        path: A file as `torch.save` writes it: `state_dict`, and `meta` with `CLASSES`.
        recipe: What the checkpoint is a training of (`mmtracking/...`).

    Returns:
        The tensors by trovid's names, in float32, and metadata as `save_tensors` takes it: the
        recipe, and as facts the source's name and SHA-256.

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
    state = checkpoint.get("state_dict")
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise TrovidError(f"{path} has no `state_dict` of tensors: not the published layout")
    meta = checkpoint.get("meta") or {}
    _check_classes(path, meta.get("CLASSES"), recipe)
    tensors = _rename(path, state, list(recipe.model.rpn.levels))
    check_state(build_detector(recipe), tensors, str(path))
    facts = {
        "source": path.name,
        "source_sha256": sha256_of(path),
        "layout": f"mmtracking {meta.get('mmtrack_version', '(version not stated)')}",
    }
    metadata = {"recipe": json.dumps(recipe_values(recipe)), "facts": json.dumps(facts)}
    return tensors, metadata


def _check_classes(path: Path, classes: Any, recipe: Recipe) -> None:
    if classes is None:
        return
    own, theirs = recipe.model.classes, tuple(classes)
    if own != theirs:
        first = next((p for p in zip(theirs, own, strict=False) if p[0] != p[1]), None)
        detail = f"first other one: {first[0]!r} for {first[1]!r}" if first else "a longer list"
        raise TrovidError(
            f"{path} has {len(theirs)} classes which are not the {len(own)} of recipe "
            f"{recipe.name} ({detail})"
        )


def _rename(path: Path, state: dict[str, Tensor], levels: list[str]) -> dict[str, Tensor]:
    names = {f"level{i}": level for i, level in enumerate(levels)}
    tensors, unknown = {}, []
    for key, value in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        for pattern, replacement in RULES:
            match = re.fullmatch(pattern, key)
            if match:
                tensors[match.expand(replacement).format(**names)] = value.float()
                break
        else:
            unknown.append(key)
    if unknown:
        raise TrovidError(
            f"{path} is not of the published layout: {len(unknown)} unexpected keys, "
            f"first {', '.join(unknown[:3])}"
        )
    return tensors
