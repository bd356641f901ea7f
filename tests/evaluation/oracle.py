"""pycocotools as the truth, with a true "ignore" of chosen objects; crowds are its own."""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from trovid.evaluation import Pool


class _IgnoringEval(COCOeval):
    """Restores the "ignore" of an annotation, which the original overwrites with `iscrowd`."""

    def _prepare(self):
        super()._prepare()
        for truths in self._gts.values():
            for truth in truths:
                truth["ignore"] = truth["outside"]


def pycocotools_precision(pool: Pool, active=None) -> np.ndarray:
    """Array[10 thresholds, 101 recalls, classes], -1 where a class has no active object."""
    active = np.ones(len(pool.objects), bool) if active is None else active
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": i} for i in range(1, len(pool.clips) + 1)],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(pool.class_names)],
        "annotations": [
            {
                "id": i + 1,
                "image_id": int(pool.true_images[i]) + 1,
                "category_id": int(pool.objects.labels[i]) + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": int(pool.objects.crowd[i]),
                "outside": int(not active[i] or pool.objects.crowd[i] or pool.objects.ignore[i]),
            }
            for i, (x1, y1, x2, y2) in enumerate(pool.objects.boxes.tolist())
        ],
    }
    found = [
        {
            "image_id": int(pool.images[i]) + 1,
            "category_id": int(pool.labels[i]) + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": float(pool.scores[i]),
        }
        for i, (x1, y1, x2, y2) in enumerate(pool.boxes.tolist())
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = _IgnoringEval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, 2]


def figures(precision: np.ndarray) -> tuple[float, float, float]:
    """AP50, AP75, AP of the classes that have an object."""
    mean = precision[:, :, precision[0, 0] > -1].mean(axis=(1, 2))
    return float(mean[0]), float(mean[5]), float(mean.mean())
