"""The figures of every protocol, class after class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.matching import mean
from trovid.evaluation.pool import Pool
from trovid.evaluation.protocols import coco, devkit, epic, voc

VID = {"devkit": devkit, "voc": voc}


@dataclass(frozen=True)
class Figures:
    """Average precision as fractions of 1; NaN where there is no object to find.

    Attributes:
        ap50: At IoU .5.
        ap75: At IoU .75.
        ap: Mean over IoU .50:.05:.95.
        num_objects: Objects counted: one in ten frames counts ten times.
    """

    ap50: float
    ap75: float
    ap: float
    num_objects: int


@dataclass(frozen=True)
class CocoAP:
    """What COCO's protocol says of one group of objects.

    Attributes:
        overall: The mean over classes that have an object.
        per_class: Each class.
        recalls: AR with the best 1, 10 and 100 detections a frame and class.
        recall_per_class: AR100 of each class.
    """

    overall: Figures
    per_class: dict[str, Figures]
    recalls: tuple[float, float, float]
    recall_per_class: dict[str, float]


@dataclass(frozen=True)
class GroupAP:
    """What another protocol says of one group of objects, at one overlap.

    Attributes:
        mean: The mean over classes that have an object.
        per_class: Each class.
        num_objects: Objects counted.
    """

    mean: float
    per_class: dict[str, float]
    num_objects: int


def coco_ap(pool: Pool, *, active: NDArray[np.bool_] | None = None) -> CocoAP:
    """COCO's AP of all objects that count, or of the `active` ones among them.

    Args:
        pool: Predictions and ground truth.
        active: Array[G] of bool.

    Raises:
        ValueError: If `active` has not one entry an object.
    """
    if active is not None and active.shape != (len(pool.objects),):
        raise ValueError(
            f"`active` must have one entry an object ({len(pool.objects)}), "
            f"but has shape {list(active.shape)}"
        )
    counted = pool.objects.counted
    group = coco.Group(counted if active is None else active & counted)
    return coco_figures(pool, {"all": group})["all"]


def coco_figures(pool: Pool, groups: Mapping[str, coco.Group]) -> dict[str, CocoAP]:
    """COCO's AP and AR of each group, which share their classes' pairs of boxes."""
    figures: dict[str, list[_CocoClass]] = {name: [] for name in groups}
    for label in range(len(pool.class_names)):
        for name, found in coco.match(pool, label, groups).items():
            aps = [matches.average_precision(at_points=True) for matches in found.by_iou]
            coco_class = _CocoClass(np.array(aps), found.recalls, found.by_iou[0].num_objects)
            figures[name].append(coco_class)
    return {name: _coco_ap(pool.class_names, classes) for name, classes in figures.items()}


def vid_figures(
    pool: Pool, protocol: Literal["devkit", "voc"], *, clean: bool = False
) -> dict[str, GroupAP]:
    """AP50 of ImageNet VID: of all objects ("all"), and of the slow, medium and fast ones.

    Args:
        pool: Predictions and ground truth.
        protocol: Whose.
        clean: Without the published code's habits (see the protocol's file).
    """
    rules = VID[protocol]
    groups = rules.groups(pool, clean=clean)
    aps: dict[str, list[float]] = {name: [] for name in groups}
    counts = dict.fromkeys(groups, 0)
    for label in range(len(pool.class_names)):
        for name, matches in rules.match(pool, label, groups, clean=clean).items():
            aps[name].append(matches.average_precision(at_points=False))
            counts[name] += matches.num_objects
    return {name: _group_ap(pool, aps[name], counts[name]) for name in groups}


def epic_figures(pool: Pool) -> dict[str, GroupAP]:
    """MAP of EPIC-KITCHENS at each overlap ("IoU 0.05", ...)."""
    aps: dict[str, list[float]] = {f"IoU {iou:g}": [] for iou in epic.IOUS}
    total = 0
    for label in range(len(pool.class_names)):
        found = epic.match(pool, label)
        total += found[0].num_objects
        for values, matches in zip(aps.values(), found, strict=True):
            values.append(matches.average_precision(at_points=False))
    return {name: _group_ap(pool, values, total) for name, values in aps.items()}


@dataclass(frozen=True, eq=False)
class _CocoClass:
    aps: NDArray[np.float64]
    recalls: NDArray[np.float64]
    num_objects: int


def _group_ap(pool: Pool, aps: list[float], num_objects: int) -> GroupAP:
    return GroupAP(mean(aps), dict(zip(pool.class_names, aps, strict=True)), num_objects)


def _coco_ap(class_names: tuple[str, ...], classes: list[_CocoClass]) -> CocoAP:
    aps = np.array([coco_class.aps for coco_class in classes])
    recalls = np.array([coco_class.recalls for coco_class in classes])

    def figures(some: slice) -> Figures:
        precisions = aps[some]
        number = sum(each.num_objects for each in classes[some])
        return Figures(mean(precisions[:, 0]), mean(precisions[:, 5]), mean(precisions), number)

    single = {name: slice(i, i + 1) for i, name in enumerate(class_names)}
    return CocoAP(
        figures(slice(None)),
        {name: figures(part) for name, part in single.items()},
        (mean(recalls[..., 0]), mean(recalls[..., 1]), mean(recalls[..., 2])),
        {name: mean(recalls[part, :, 2]) for name, part in single.items()},
    )
