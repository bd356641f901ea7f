"""The matches of a whole pool, clip by clip: what resampling needs of a protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.matching import ClassMatches
from trovid.evaluation.pool import Pool
from trovid.evaluation.protocols import coco, devkit, epic, voc

ProtocolName = Literal["coco", "devkit", "voc", "epic"]
PROTOCOLS: tuple[ProtocolName, ...] = ("coco", "devkit", "voc", "epic")


@dataclass(frozen=True, eq=False)
class ClipMatches:
    """All that AP at one IoU threshold needs to know of a model's detections.

    Attributes:
        clip_names: Names of the V clips.
        clips: Array[D], clip of each detection of the pool.
        num_objects: Array[V, num_classes], objects to find.
        classes: Matches of each class.
        at_points: Whether AP is the mean at 101 recalls (COCO) or the whole area.
    """

    clip_names: tuple[str, ...]
    clips: NDArray[np.int64]
    num_objects: NDArray[np.int64]
    classes: tuple[ClassMatches, ...]
    at_points: bool = True


def match_clips(
    pool: Pool,
    *,
    active: NDArray[np.bool_] | None = None,
    iou: float = 0.5,
    protocol: ProtocolName = "coco",
) -> ClipMatches:
    """Match detections with objects as a protocol does.

    Args:
        pool: Predictions and ground truth.
        active: Array[G] of bool, the objects that count, of those that may (the default); the
            rest is ignored. With `coco` alone.
        iou: Overlap that makes a match; with `devkit` and `voc` always the protocol's own.
        protocol: Whose rules.

    Raises:
        ValueError: If `active` or `iou` does not go with the protocol.
    """
    if protocol in ("devkit", "voc") and iou != 0.5:
        raise ValueError(f"`iou` must be 0.5 with protocol {protocol!r}, but is {iou}")
    if protocol != "coco" and active is not None:
        raise ValueError(f"`active` goes with protocol 'coco', not with {protocol!r}")
    active = pool.objects.counted if active is None else active & pool.objects.counted
    labels = range(len(pool.class_names))
    if protocol == "coco":
        group = {"all": coco.Group(active)}
        found = [coco.match(pool, c, group, ious=(iou,))["all"].by_iou[0] for c in labels]
    elif protocol == "epic":
        found = [epic.match(pool, label, ious=(iou,))[0] for label in labels]
    else:
        rules = {"devkit": devkit, "voc": voc}[protocol]
        groups = {"all": rules.groups(pool)["all"]}
        found = [rules.match(pool, label, groups)["all"] for label in labels]
    num_objects = np.zeros((len(pool.clip_names), len(pool.class_names)), dtype=np.int64)
    true_clips = pool.clips[pool.true_images[active]]
    np.add.at(num_objects, (true_clips, pool.objects.labels[active]), 1)
    return ClipMatches(
        pool.clip_names,
        pool.clips[pool.images],
        num_objects,
        tuple(found),
        protocol == "coco",
    )
