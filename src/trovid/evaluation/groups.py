"""Groups of objects whose AP is told apart: by deterioration, by strength, by speed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trovid.datasets.objects import Attribute
from trovid.evaluation.motion import motion_groups
from trovid.evaluation.pool import CLEAN, Pool


def object_groups(pool: Pool) -> dict[str, NDArray[np.bool_]]:
    """For each group's name which objects of the pool belong to it; empty groups are left out.

    Crowds and ignored objects belong to no group.

    - "clean", "deteriorated";
    - "kind: <deterioration>", each that occurs;
    - "strength: weak", "middle", "strong": thirds within each kind, so that they compare strengths
      and not kinds (`Pool.strength_edges`);
    - "motion: slow" (motion IoU above .9), "medium", "fast" (below .7), the protocol of
      Flow-Guided Feature Aggregation.

    Returns:
        Arrays[G] of bool; {} where the labels tell neither deterioration nor motion.
    """
    groups: dict[str, NDArray[np.bool_]] = {}
    kinds, motion_iou = pool.attribute("deterioration"), pool.attribute("motion_iou")
    if kinds is not None:
        groups["clean"], groups["deteriorated"] = kinds == CLEAN, kinds != CLEAN
        for kind in sorted(set(kinds) - {CLEAN}):
            groups[f"kind: {kind}"] = kinds == kind
        groups |= _strength_groups(pool, kinds)
    if motion_iou is not None:
        groups |= motion_groups(motion_iou)
    counted = {name: active & pool.objects.counted for name, active in groups.items()}
    return {name: active for name, active in counted.items() if active.any()}


def _strength_groups(pool: Pool, kinds: Attribute) -> dict[str, NDArray[np.bool_]]:
    strengths = pool.attribute("strength")
    if strengths is None:
        return {}
    third = np.full(len(strengths), -1)
    for kind, (low, high) in pool.strength_edges.items():
        mine = kinds == kind
        above = (strengths > low).astype(int) + (strengths > high)
        third[mine] = above[mine]
    return {f"strength: {name}": third == i for i, name in enumerate(("weak", "middle", "strong"))}
