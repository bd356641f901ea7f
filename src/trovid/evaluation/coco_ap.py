"""COCO's average precision over all frames, or over a group of their objects.

Every figure of this file is computed by faster-coco-eval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.pool import MAX_DETECTIONS, Pool

_OUTSIDE = -1.0
MANY_DETECTIONS = 2_000_000
"""From here on COCO's documents are made class by class: all at once they would not fit in memory
(ImageNet VID val: up to 17.6 million detections, as Python's objects about 450 bytes each)."""


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
    """The mean over classes that have an object, and each class."""

    overall: Figures
    per_class: dict[str, Figures]


class CocoEvaluation:
    """COCO AP (101 recall points, 100 detections a frame and class) of one pool of frames.

    Objects that the labels ignore and those outside a group are ignored as COCO ignores objects
    outside an area range: a detection that takes one is neither right nor wrong, one that takes
    none is wrong wherever it lies. COCO's code cannot say "ignore this object" without the other
    meaning of `iscrowd` (another IoU, many matches), so such an object gets the area -1 while the
    range begins at 0. A crowd (`iscrowd`) has that other meaning.

    Args:
        pool: Predictions and ground truth.
        class_by_class: Whether COCO's documents are made of one class at a time; None: where there
            are many detections.
    """

    def __init__(self, pool: Pool, *, class_by_class: bool | None = None) -> None:
        self._pool = pool
        classes = list(range(len(pool.class_names)))
        if class_by_class is None:
            class_by_class = len(pool.boxes) > MANY_DETECTIONS
        self._chunks = [[label] for label in classes] if class_by_class else [classes]
        self._kept = None if class_by_class else _Chunk(pool, classes)

    def __call__(self, active: NDArray[np.bool_] | None = None) -> CocoAP:
        """AP of all objects that count, or of the `active` ones among them (Array[G] of bool)."""
        pool = self._pool
        if active is None:
            active = pool.objects.counted
        if active.shape != (len(pool.objects),):
            raise ValueError(
                f"`active` must have one entry an object ({len(pool.objects)}), "
                f"but has shape {list(active.shape)}"
            )
        active = active & pool.objects.counted
        parts = [
            (self._kept or _Chunk(pool, classes)).precision(active) for classes in self._chunks
        ]
        precision = np.concatenate(parts, axis=2)
        counts = np.bincount(pool.objects.labels[active], minlength=len(pool.class_names))
        per_class = {
            name: _figures(precision[:, :, i : i + 1], int(counts[i]))
            for i, name in enumerate(pool.class_names)
        }
        return CocoAP(_figures(precision, int(active.sum())), per_class)


class _Chunk:
    """Some classes of a pool as COCO's documents."""

    def __init__(self, pool: Pool, classes: Sequence[int]) -> None:
        from faster_coco_eval import COCO

        objects = pool.objects
        true, found = (
            np.flatnonzero(np.isin(labels, classes)) for labels in (objects.labels, pool.labels)
        )
        self._true = true
        self._areas = np.maximum(_areas(objects.boxes[true]), 0)
        truth = {
            "info": {},
            "images": [{"id": i + 1} for i in range(len(pool.clips))],
            "categories": [{"id": i + 1, "name": pool.class_names[i]} for i in classes],
            "annotations": [
                {
                    "id": i + 1,
                    "image_id": image,
                    "category_id": label,
                    "bbox": box,
                    "iscrowd": crowd,
                }
                for i, (image, label, box, crowd) in enumerate(
                    zip(
                        (pool.true_images[true] + 1).tolist(),
                        (objects.labels[true] + 1).tolist(),
                        _xywh(objects.boxes[true]).tolist(),
                        objects.crowd[true].astype(int).tolist(),
                        strict=True,
                    )
                )
            ],
        }
        results = [
            {"image_id": image, "category_id": label, "bbox": box, "score": score}
            for image, label, box, score in zip(
                (pool.images[found] + 1).tolist(),
                (pool.labels[found] + 1).tolist(),
                _xywh(pool.boxes[found]).tolist(),
                pool.scores[found].tolist(),
                strict=True,
            )
        ]
        self._truth = COCO(truth, print_function=_silent)
        none = COCO({**truth, "annotations": []}, print_function=_silent)
        self._found = self._truth.loadRes(results) if results else none

    def precision(self, active: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Array[IoU thresholds, recall points, classes]; -1 for a class without an object."""
        from faster_coco_eval import COCOeval_faster

        areas = np.where(active[self._true], self._areas, _OUTSIDE).tolist()
        for annotation, area in zip(self._truth.dataset["annotations"], areas, strict=True):
            annotation["area"] = area
        evaluation = COCOeval_faster(
            self._truth, self._found, iouType="bbox", print_function=_silent
        )
        evaluation.params.maxDets = [MAX_DETECTIONS]
        evaluation.params.areaRng = [[0.0, float("inf")]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
        return np.asarray(evaluation.eval["precision"])[..., 0, 0]


def _figures(precision: NDArray[np.float64], num_objects: int) -> Figures:
    present = precision[0, 0] > -1
    if not present.any():
        return Figures(float("nan"), float("nan"), float("nan"), num_objects)
    ap = precision[:, :, present].mean(axis=(1, 2))
    return Figures(float(ap[0]), float(ap[5]), float(ap.mean()), num_objects)


def _xywh(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _silent(*_: object) -> None:
    pass
