"""What limits a detector on labelled pictures: proposals, classes, boxes or scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import box_iou

from trovid.datasets.contract import Dataset
from trovid.detectors.candidates import Candidates
from trovid.evaluation.figures import Figures, coco_figures
from trovid.evaluation.matching import mean
from trovid.evaluation.pool import Pool, pool_frames
from trovid.evaluation.protocols import coco
from trovid.experiments.everyday_methods import LOWEST_SCORE
from trovid.inference.predictor import Predictor
from trovid.progress import Tick
from trovid.structures.detections import scaled_boxes
from trovid.video.reader import Frame

SHOWN = 0.3
"""Score from which a detection counts as shown."""
MATCH, ROUGH, NEAR = 0.5, 0.3, 0.1
"""IoU at which an object is found, at which a box is corrected, and from which one is rough."""
FATES = ("found", "other class", "rough box", "lower score", "not found", "not proposed")
"""Of an object: shown; shown under another class alone; its class shown with an IoU from `NEAR`;
right, but with a lower score; proposed and nothing of this; no proposal overlaps it by `MATCH`."""
MISTAKES = ("right", "other class", "found twice", "rough box", "nothing there")
"""Of a detection that is shown: right; on an object of another class; on one that a surer one has
found; on an object of its class with an IoU from `NEAR`; none of these."""
CONFUSIONS = 10


class Look(NamedTuple):
    """What a model says of a frame.

    Attributes:
        found: All boxes with all scores.
        boxes: Tensor[R, 4], what the box head looked at for them, in pixels of the frame.
        proposed: How many of them, the first ones, are the RPN's; the others are taken over.
    """

    found: Candidates
    boxes: Tensor
    proposed: int


def look(predictor: Predictor, frame: Frame, support: Any = None) -> Look:
    """Looks at a frame with a model of the family of Faster R-CNN."""
    boxes: list[Tensor] = []
    proposed: list[int] = []

    def keep_boxes(module: nn.Module, given: tuple[Any, ...]) -> None:
        boxes.extend(given[1])

    def count(module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
        proposed.extend(map(len, made[0]))

    options = predictor.options(selection="candidates", score=LOWEST_SCORE)
    hooks = [
        predictor.running.roi_features.register_forward_pre_hook(keep_boxes),
        predictor.running.rpn.register_forward_hook(count),
    ]
    try:
        (found,) = predictor.detect_frames([frame], [support], options)
    finally:
        for hook in hooks:
            hook.remove()
    source = frame.image.shape[:2]
    seen = scaled_boxes(torch.cat(boxes), predictor.transform.size(*source), source)
    return Look(found, seen.cpu(), sum(proposed))


def look_at_pictures(
    predictor: Predictor, dataset: Dataset, progress: Tick | None = None
) -> tuple[dict[str, Candidates], dict[str, Tensor]]:
    """By picture all boxes with all scores, and the proposals of each.

    A picture is its own support frame, as in training.
    """
    found, proposals = {}, {}
    for done, video in enumerate(dataset.videos, 1):
        with dataset.open(video.name) as reader:
            (frame,) = reader.read([0])
        support = predictor.encode([frame]) if predictor.running.uses_support else None
        found[video.name], proposals[video.name], _ = look(predictor, frame, support)
        if progress:
            progress(done, len(dataset.videos), video.name)
    return found, proposals


def pooled(predictor: Predictor, dataset: Dataset, found: Mapping[str, Candidates]) -> Pool:
    """What is chosen of the candidates, beside the labels."""
    options = predictor.options(score=LOWEST_SCORE)
    return pool_frames(
        {name: [candidates.select(options)] for name, candidates in found.items()}, dataset
    )


def precision_of(pool: Pool) -> dict[str, Any]:
    """AP50, AP75 and AP: of all objects, of each size and of each class."""
    groups = {"all": coco.Group(pool.objects.counted), **coco.size_groups(pool)}
    found = coco_figures(pool, groups)
    return {
        "sizes": {_size(name): _figures(coco_ap.overall) for name, coco_ap in found.items()},
        "classes": {name: _figures(figures) for name, figures in found["all"].per_class.items()},
    }


def precision_at(pool: Pool, iou: float) -> dict[str, float | None]:
    """AP at one overlap, of all objects and of each size."""
    groups = {"all": coco.Group(pool.objects.counted), **coco.size_groups(pool)}
    values: dict[str, list[float]] = {name: [] for name in groups}
    for label in range(len(pool.class_names)):
        for name, matches in coco.match(pool, label, groups, ious=(iou,)).items():
            values[name].append(matches.by_iou[0].average_precision(at_points=True))
    return {_size(name): _known(mean(aps)) for name, aps in values.items()}


def corrected(
    found: Candidates, boxes: Tensor, labels: Tensor, *, classes: bool, places: bool
) -> Candidates:
    """The candidates of a picture as they were if the model knew the objects' classes or places.

    Args:
        found: One box a RoI.
        boxes: Tensor[N, 4], the objects.
        labels: Tensor[N], their classes among those of `found`.
        classes: A box that overlaps an object by `MATCH` (with `places` by `ROUGH`) gives the sum
            of its scores to the object's class.
        places: A box that overlaps an object by `ROUGH` is put on it.
    """
    if not len(found) or not len(boxes):
        return found
    overlap, nearest = box_iou(found.boxes[:, 0], boxes).max(1)
    scores, found_boxes = found.class_scores.clone(), found.boxes.clone()
    if classes:
        known = overlap >= (ROUGH if places else MATCH)
        whole = scores[known].sum(1)
        scores[known] = 0.0
        scores[known, labels[nearest[known]]] = whole
    if places:
        found_boxes[overlap >= ROUGH, 0] = boxes[nearest[overlap >= ROUGH]]
    return replace(found, boxes=found_boxes, class_scores=scores)


def ceilings(
    predictor: Predictor, dataset: Dataset, found: Mapping[str, Candidates]
) -> dict[str, dict[str, float | None]]:
    """AP by size at lower and higher overlaps, and AP50 with the objects' classes and places."""
    pool = pooled(predictor, dataset, found)
    numbers = torch.tensor([predictor.class_names.index(name) for name in dataset.class_names])
    rows = {f"IoU {iou:g}": precision_at(pool, iou) for iou in (0.5, ROUGH, NEAR, 0.75)}
    for name, classes, places in (
        ("true class given", True, False),
        ("true box given", False, True),
        ("both given", True, True),
    ):
        changed = {}
        for picture, candidates in found.items():
            truth = dataset.objects[dataset.rows(picture)]
            boxes = torch.from_numpy(truth.boxes[truth.counted]).float()
            labels = numbers[torch.from_numpy(truth.labels[truth.counted]).long()]
            changed[picture] = corrected(candidates, boxes, labels, classes=classes, places=places)
        rows[name] = precision_at(pooled(predictor, dataset, changed), MATCH)
    return rows


def proposal_recall(pool: Pool, proposals: Sequence[Tensor]) -> dict[str, dict[str, Any]]:
    """By size the objects, and the share of them that some proposal overlaps by 0.5 and 0.75.

    Args:
        pool: The labels.
        proposals: Of each of its frames Tensor[R, 4].
    """
    best = _best_overlaps(pool, proposals)
    groups = {"all": coco.Group(pool.objects.counted), **coco.size_groups(pool)}
    return {
        _size(name): {
            "objects": int(group.active.sum()),
            **{f"{iou:g}": _share(best[group.active] >= iou) for iou in (MATCH, 0.75)},
        }
        for name, group in groups.items()
    }


def fates_of(pool: Pool, proposals: Sequence[Tensor]) -> dict[str, Any]:
    """What became of the objects (`FATES`) and of what is shown (`MISTAKES`), as shares."""
    objects, counted = pool.objects, pool.objects.counted
    best_score = np.full(len(objects), -1.0)
    wrong: list[NDArray[np.int32]] = []
    for label in range(len(pool.class_names)):
        every = coco.match(pool, label, {"all": coco.Group(counted)}, ious=(MATCH,))["all"]
        (matches,) = every.by_iou
        assert matches.objects is not None
        best_score[matches.objects[matches.right]] = pool.scores[matches.rows[matches.right]]
        wrong.append(matches.rows[~matches.right])
    proposed = _best_overlaps(pool, proposals) >= MATCH
    fates = np.where(proposed, FATES.index("not found"), FATES.index("not proposed"))
    confused: Counter[tuple[str, str]] = Counter()
    mistakes = Counter({"right": int((best_score >= SHOWN).sum())})
    mistaken = np.zeros(len(pool.scores), dtype=bool)
    mistaken[np.concatenate(wrong)] = True
    for image in range(len(pool.frames)):
        rows = np.flatnonzero((pool.images == image) & (pool.scores >= SHOWN))
        here = np.flatnonzero((pool.true_images == image) & counted)
        overlaps = box_iou(
            torch.from_numpy(pool.boxes[rows]).double(), torch.from_numpy(objects.boxes[here])
        ).numpy()
        same = pool.labels[rows][:, None] == objects.labels[here]
        for column, place in enumerate(here):
            other = np.flatnonzero((overlaps[:, column] >= MATCH) & ~same[:, column])
            if best_score[place] >= SHOWN:
                fates[place] = FATES.index("found")
            elif len(other):
                fates[place] = FATES.index("other class")
                shown = pool.labels[rows[other[pool.scores[rows[other]].argmax()]]]
                names = pool.class_names
                confused[names[objects.labels[place]], names[shown]] += 1
            elif ((overlaps[:, column] >= NEAR) & same[:, column]).any():
                fates[place] = FATES.index("rough box")
            elif best_score[place] >= 0:
                fates[place] = FATES.index("lower score")
        for row in np.flatnonzero(mistaken[rows]):
            mistakes[_mistake(overlaps[row], same[row])] += 1
    groups = {"all": counted}
    groups |= {_size(name): group.active for name, group in coco.size_groups(pool).items()}
    groups |= {
        name: counted & (objects.labels == label) for label, name in enumerate(pool.class_names)
    }
    shown = sum(mistakes.values())
    return {
        "objects": {
            name: {fate: _share(fates[active] == place) for place, fate in enumerate(FATES)}
            for name, active in groups.items()
        },
        "detections": {"shown": shown, **{n: mistakes[n] / max(1, shown) for n in MISTAKES}},
        "confusions": [
            {"object": true, "shown": shown, "times": times}
            for (true, shown), times in confused.most_common(CONFUSIONS)
        ],
    }


def _mistake(overlaps: NDArray[np.float64], same: NDArray[np.bool_]) -> str:
    if ((overlaps >= MATCH) & same).any():
        return "found twice"
    if ((overlaps >= MATCH) & ~same).any():
        return "other class"
    return "rough box" if ((overlaps >= NEAR) & same).any() else "nothing there"


def _best_overlaps(pool: Pool, proposals: Sequence[Tensor]) -> NDArray[np.float64]:
    """Array[G]: of each object the highest IoU with a proposal."""
    best = np.zeros(len(pool.objects))
    for image, boxes in enumerate(proposals):
        here = np.flatnonzero(pool.true_images == image)
        if len(here) and len(boxes):
            true = torch.from_numpy(pool.objects.boxes[here])
            best[here] = box_iou(true, boxes.double()).amax(1).numpy()
    return best


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "objects": figures.num_objects,
        "AP50": _known(figures.ap50),
        "AP75": _known(figures.ap75),
        "AP": _known(figures.ap),
    }


def _size(name: str) -> str:
    return name.removeprefix("size: ")


def _share(chosen: NDArray[np.bool_]) -> float | None:
    return float(chosen.mean()) if len(chosen) else None


def _known(value: float) -> float | None:
    return None if value != value else value
